import type Docker from 'dockerode';
import { Readable } from 'node:stream';
import type { Pack } from 'tar-stream';
import type { ImageBuild } from '../../actions/custom-image.ts';
import { BASES_LABEL, basesDigest, CONTENT_LABEL } from '../../actions/custom-image.ts';
import type { LaunchSpec } from '../../actions/launch-spec.ts';
import type { ContextEntry } from '../../runs/build-context.ts';
import type { ImageFacts } from '../../runs/executor.ts';
import { AppError } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';
import { timeLimit } from '../../shared/time-limit.ts';
import { engineGone, isUnreachable, wordsOf } from './engine-errors.ts';
import { findImage } from './pull.ts';

export interface BuildParts {
  entries: AsyncIterable<ContextEntry>;
  /** Takes a line of the builder; resolves when there is room for the next. */
  say: (line: string) => Promise<void>;
  signal: AbortSignal;
  limits: Pick<LaunchSpec['limits'], 'memory_bytes' | 'cpus'>;
  timeoutMs: number;
}

const CPU_PERIOD = 100_000;

/** Builds with the engine's own builder. An engine that loses the connection ends the build and tidies up. */
export async function buildImage(docker: Docker, build: ImageBuild, parts: BuildParts): Promise<ImageFacts> {
  const timeout = timeLimit(parts.timeoutMs);
  const ended = new AbortController();
  const signal = AbortSignal.any([parts.signal, timeout, ended.signal]);
  const { pack } = await import('tar-stream');
  const tar = pack();
  // A context that breaks does not end the request by itself; it is then the reason that counts.
  let broken: unknown = null;
  const filling = fill(tar, parts.entries).catch((error: unknown) => {
    broken = error;
    ended.abort();
  });
  try {
    const context = Readable.from(tar as AsyncIterable<Uint8Array>);
    context.on('error', () => undefined);
    const stream = await docker.buildImage(context, {
      ...optionsOf(build, parts),
      abortSignal: signal,
    });
    await follow(stream, parts.say, signal);
    await filling;
    if (broken !== null) throw broken as Error;
  } catch (error) {
    tar.destroy();
    throw failure(broken ?? error, { build, parts, timeout });
  }
  const image = await findImage(docker, build.tag);
  if (image === null) throw failed(build, 'the engine does not have it afterwards');
  return image;
}

function optionsOf(build: ImageBuild, { limits }: BuildParts): Docker.ImageBuildOptions {
  const labels = { [BASES_LABEL]: basesDigest(build.bases) ?? '', [CONTENT_LABEL]: build.tag };
  return {
    t: build.tag,
    dockerfile: build.dockerfile,
    labels,
    rm: true,
    forcerm: true,
    ...(limits.memory_bytes !== null && { memory: limits.memory_bytes, memswap: limits.memory_bytes }),
    ...(limits.cpus !== null && { cpuperiod: CPU_PERIOD, cpuquota: Math.round(limits.cpus * CPU_PERIOD) }),
  };
}

async function fill(tar: Pack, entries: AsyncIterable<ContextEntry>): Promise<void> {
  for await (const { name, kind, size, target, content } of entries) {
    const mode = kind === 'executable' ? 0o755 : 0o644;
    // No times and no owners: the same content is the same layer.
    const header = { name, mode, mtime: new Date(0), uid: 0, gid: 0 };
    if (kind === 'link') {
      tar.entry({ ...header, type: 'symlink', linkname: target ?? '' });
      continue;
    }
    const entry = tar.entry({ ...header, type: 'file', size }) as unknown as NodeJS.WritableStream;
    const ended = new Promise<void>((resolve, reject) => {
      entry.on('finish', resolve).on('error', reject).on('close', resolve);
    });
    ended.catch(() => undefined);
    for await (const chunk of content()) {
      if (!entry.write(chunk)) await roomIn(entry);
    }
    entry.end();
    await ended;
  }
  tar.finalize();
}

function roomIn(entry: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    entry.once('drain', resolve).once('close', resolve).once('error', reject);
  });
}

/** A failure that the builder reports inside its stream. */
class BuildFailure extends Error {}

async function follow(
  stream: NodeJS.ReadableStream,
  say: BuildParts['say'],
  signal: AbortSignal,
): Promise<void> {
  const stop = (): void =>
    void (stream as { destroy?: (error: Error) => void }).destroy?.(new Error('aborted'));
  signal.addEventListener('abort', stop);
  const text = lines(say);
  let rest = '';
  try {
    for await (const chunk of stream) {
      const events = (rest + chunk.toString()).split('\n');
      rest = events.pop() ?? '';
      for (const event of events) await text.event(event);
    }
    await text.event(rest);
    await text.end();
  } catch (error) {
    await text.end();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
  // The engine closes the stream quietly where a build is cut off.
  if (signal.aborted) throw new Error('aborted');
}

const LONGEST = 64 * 1024;

/** Makes lines of the builder's pieces of text. */
function lines(say: BuildParts['say']): { event(json: string): Promise<void>; end(): Promise<void> } {
  let rest = '';
  return {
    async event(json) {
      if (json.trim() === '') return;
      const event: unknown = JSON.parse(json);
      if (!isObject(event)) return;
      if (typeof event['error'] === 'string') throw new BuildFailure(event['error'].trim());
      if (typeof event['stream'] !== 'string') return;
      const parts = (rest + event['stream']).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) if (line.trim() !== '') await say(line);
      if (rest.length > LONGEST) await this.end();
    },
    async end() {
      const line = rest;
      rest = '';
      if (line.trim() !== '') await say(line);
    },
  };
}

interface Failure {
  build: ImageBuild;
  parts: BuildParts;
  timeout: AbortSignal;
}

function failure(error: unknown, { build, parts, timeout }: Failure): AppError {
  if (parts.signal.aborted) return failed(build, 'it was cancelled');
  if (timeout.aborted) return failed(build, `it took longer than ${parts.timeoutMs / 1000} s`);
  if (error instanceof AppError) return error;
  if (!(error instanceof BuildFailure) && isUnreachable(error)) return engineGone(error, 'build an image');
  return failed(build, wordsOf(error));
}

function failed({ dockerfile }: ImageBuild, why: string): AppError {
  return new AppError('launch_failed', `The image of ${dockerfile} could not be built: ${why}.`, {
    next: `Read the log of the run: it has the output of the build. Then mend ${dockerfile}.`,
  });
}
