import type Docker from 'dockerode';
import { type Readable } from 'node:stream';
import { type Ending, type Execution } from '../../runs/executor.ts';
import { askToWait, endingOf, inspect, isOver, timeOf, untilOver } from './container-state.ts';
import { engineGone, isUnreachable, statusOf, wordsOf } from './engine-errors.ts';
import { type OutputOptions, type OutputReader, readOutput } from './output.ts';

/** Refusals that mean "it is not there or not running any more", which is what was wanted. */
const ALREADY = new Set([304, 404, 409]);

/** Holds a started container: reads its output, knows its end. `attached` null: its log is read from the start. */
export async function holdContainer(
  container: Docker.Container,
  attached: Readable | null,
  options: OutputOptions,
): Promise<Execution> {
  const { patience } = options;
  const waiting = askToWait(container);
  const first = inspect(container, patience);
  const over = first.then((facts) =>
    facts === null || isOver(facts.State)
      ? endingOf(facts?.State ?? null, patience.clock.now())
      : untilOver(container, waiting, patience),
  );
  const output = readOutput(container, { attached, over, answered: waiting }, options);
  const ending = endingWithOutput(over, output);
  // Whoever asks for the ending sees its rejection; nobody asking yet must not end the process.
  ending.catch(() => undefined);
  const facts = await first;
  return {
    ref: container.id,
    started_at: timeOf(facts?.State.StartedAt) ?? patience.clock.now(),
    image_digest: facts?.Image ?? null,
    over: facts === null || isOver(facts.State),
    ending,
    stop: (grace_ms) => stop(container, { over, grace_ms, options }),
    detach: () => output.detach(),
    dispose: () => dispose(container, options),
  };
}

async function endingWithOutput(over: Promise<Ending>, output: OutputReader): Promise<Ending> {
  const [ending, { incomplete }] = await Promise.all([over, output.done]);
  return incomplete ? { ...ending, output_incomplete: true } : ending;
}

interface Stop {
  over: Promise<Ending>;
  grace_ms: number;
  options: OutputOptions;
}

async function stop(container: Docker.Container, { over, grace_ms, options }: Stop): Promise<void> {
  await signal(container, 'SIGTERM');
  const ended = new AbortController();
  const inTime = over.then(
    () => true,
    () => true,
  );
  const late = options.patience.clock.sleep(grace_ms, ended.signal).then(() => false);
  const done = await Promise.race([inTime, late]);
  ended.abort();
  if (!done) await signal(container, 'SIGKILL');
}

async function signal(container: Docker.Container, name: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  try {
    await container.kill({ signal: name });
  } catch (error) {
    if (ALREADY.has(statusOf(error) ?? 0)) return;
    throw isUnreachable(error) ? engineGone(error, 'stop a run') : error;
  }
}

/** Never by force: a container that somebody started again is somebody's. */
async function dispose(container: Docker.Container, { log, patience }: OutputOptions): Promise<void> {
  try {
    await container.remove({ v: true });
  } catch (error) {
    if (ALREADY.has(statusOf(error) ?? 0)) return;
    if (isUnreachable(error)) throw engineGone(error, 'remove a container');
    log('warn', 'a container could not be removed', { container: container.id, problem: wordsOf(error) });
    const facts = await inspect(container, patience);
    if (facts !== null && isOver(facts.State)) await container.remove({ v: true, force: true });
  }
}
