import type Docker from 'dockerode';
import { AppError, messageOf } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';
import { type Clock } from '../../shared/ports.ts';
import { timeLimit } from '../../shared/time-limit.ts';
import { type ImageFacts } from '../../runs/executor.ts';
import { engineGone, isUnreachable, statusOf, wordsOf } from './engine-errors.ts';
import { createPullProgress } from './pull-progress.ts';
import { type AuthSources, findRegistryAuth, registryOf } from './registry-auth.ts';

export interface PullOptions {
  auth: AuthSources;
  clock: Clock;
  timeoutMs: number;
  progress: (line: string) => void;
  signal: AbortSignal;
}

export async function findImage(docker: Docker, reference: string): Promise<ImageFacts | null> {
  try {
    const { Id, Config } = await docker.getImage(reference).inspect();
    // An image without labels has none at all.
    const labels = (Config?.Labels as Record<string, string> | null | undefined) ?? {};
    const onBuild = Config?.OnBuild as unknown[] | null | undefined;
    return { digest: Id, labels, triggers: (onBuild ?? []).length > 0 };
  } catch (error) {
    if (statusOf(error) === 404) return null;
    if (isUnreachable(error)) throw engineGone(error, 'look up an image');
    throw new AppError(
      'launch_failed',
      `The engine cannot look up the image ${reference}: ${wordsOf(error)}.`,
    );
  }
}

/** Pulls one image, bounded by its own timeout. Throws `launch_failed` in the registry's words. */
export async function pullImage(
  docker: Docker,
  reference: string,
  options: PullOptions,
): Promise<ImageFacts> {
  const timeout = timeLimit(options.timeoutMs);
  const abortSignal = AbortSignal.any([options.signal, timeout]);
  const registry = registryOf(reference);
  try {
    const authconfig = await findRegistryAuth(registry, options.auth);
    const stream = await docker.pull(withTag(reference), { abortSignal, ...(authconfig && { authconfig }) });
    await followPull(stream, { progress: options.progress, clock: options.clock, signal: abortSignal });
  } catch (error) {
    if (options.signal.aborted) throw pullError(reference, 'it was cancelled', error);
    if (timeout.aborted)
      throw pullError(reference, `it took longer than ${options.timeoutMs / 1000} s`, error);
    if (isUnreachable(error) && !(error instanceof PullRefusal)) throw engineGone(error, 'pull an image');
    throw pullError(reference, wordsOf(error), error);
  }
  const image = await findImage(docker, reference);
  if (image === null) throw pullError(reference, 'the engine does not have it afterwards', undefined);
  return image;
}

/** Without a tag the engine would pull every tag there is. */
export function withTag(reference: string): string {
  const name = reference.slice(reference.lastIndexOf('/') + 1);
  return /[:@]/.test(name) ? reference : `${reference}:latest`;
}

/** A failure that the engine reports inside its stream of progress. */
class PullRefusal extends Error {}

interface Following {
  progress: (line: string) => void;
  clock: Clock;
  signal: AbortSignal;
}

async function followPull(
  stream: NodeJS.ReadableStream,
  { progress, clock, signal }: Following,
): Promise<void> {
  const note = createPullProgress(progress, clock);
  const stop = (): void =>
    void (stream as { destroy?: (error: Error) => void }).destroy?.(new Error('aborted'));
  signal.addEventListener('abort', stop);
  let rest = '';
  try {
    for await (const chunk of stream) {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) noteLine(line, note);
    }
    noteLine(rest, note);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function noteLine(line: string, note: (event: Record<string, unknown>) => void): void {
  if (line.trim() === '') return;
  const event: unknown = JSON.parse(line);
  if (!isObject(event)) return;
  if (typeof event['error'] === 'string') throw new PullRefusal(event['error']);
  note(event);
}

function pullError(reference: string, words: string, cause: unknown): AppError {
  return new AppError('launch_failed', `The image ${reference} could not be pulled: ${words}.`, {
    next: 'Check the image name, the credentials in the Docker config (docker login), and the network.',
    ...(cause === undefined ? {} : { cause: messageOf(cause) }),
  });
}
