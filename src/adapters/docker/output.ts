import type Docker from 'dockerode';
import { type Readable } from 'node:stream';
import { type Log } from '../../shared/ports.ts';
import { type OutputSink } from '../../runs/executor.ts';
import { createDemultiplexer } from './demultiplex.ts';
import { wordsOf, isUnreachable, statusOf } from './engine-errors.ts';
import { patiently, type Patience } from './patience.ts';
import { pump, type Room } from './pump.ts';
import { type ByteWriter, createTally } from './tally.ts';

/** A container's end follows the end of its output within this time, unless it closed its output early. */
const END_FOLLOWS_MS = 1000;
const BROKEN_PAUSE_MS = 200;

export interface OutputOptions {
  sink: OutputSink;
  log: Log;
  patience: Patience;
  /** A sink that asks for a pause longer than this (ms) is detached from, so that the container runs on. */
  stallMs: number;
}

export interface OutputReader {
  /** Resolves after the last byte was handed over, or when reading was given up. */
  done: Promise<{ incomplete: boolean }>;
  detach(): void;
}

export interface OutputSource {
  /** The attached stream; null: read the log from its start. */
  attached: Readable | null;
  /** Settles when the container is over. */
  over: Promise<unknown>;
  /** True: the engine itself reported the end on an unbroken connection. */
  answered: Promise<boolean>;
}

/**
 * Hands a container's output to the sink: live from the attached stream, and after a stall or a broken
 * connection (or with none attached) from the engine's log, skipping what was handed over before.
 */
export function readOutput(
  container: Docker.Container,
  source: OutputSource,
  options: OutputOptions,
): OutputReader {
  const given = new AbortController();
  const tally = createTally(options.sink);
  let incomplete = false;

  const follow = async (): Promise<void> => {
    let live = source.attached;
    while (!given.signal.aborted) {
      const stream = live ?? (await openLog(container, options));
      if (stream === null) incomplete = true;
      if (stream === null || given.signal.aborted) return;
      const writer = live === null ? tally.replay() : tally.write;
      const outcome = await pump(stream, feeder(writer), {
        room: () => room(options, live === null ? null : options.stallMs),
        signal: given.signal,
      });
      if (outcome === 'given up') return;
      if (outcome === 'end' && (live === null || (await isTrueEnd(source, options.patience)))) return;
      options.log('warn', 'reading the output of a container again', { container: container.id, outcome });
      if (outcome === 'stalled') await untilRoom(options.sink, given.signal);
      else if (live === null) await options.patience.clock.sleep(BROKEN_PAUSE_MS);
      live = null;
    }
  };

  return {
    done: follow().then(() => ({ incomplete: incomplete || tally.incomplete() })),
    detach: () => given.abort(),
  };
}

function feeder(write: ByteWriter): (chunk: Uint8Array) => boolean {
  let wantsMore = true;
  const demultiplex = createDemultiplexer((stream, bytes) => {
    if (!write(stream, bytes)) wantsMore = false;
  });
  return (chunk) => {
    wantsMore = true;
    demultiplex(chunk);
    return wantsMore;
  };
}

/** The whole log from its first byte, followed to the container's end; null if the engine has none to give. */
async function openLog(container: Docker.Container, options: OutputOptions): Promise<Readable | null> {
  try {
    const stream = await patiently(options.patience, () =>
      container.logs({ follow: true, stdout: true, stderr: true, timestamps: false }),
    );
    return stream as unknown as Readable;
  } catch (error) {
    if (isUnreachable(error) || statusOf(error) === null) throw error;
    options.log('warn', 'the engine gives no log', { container: container.id, problem: wordsOf(error) });
    return null;
  }
}

async function room({ sink, patience }: OutputOptions, stallMs: number | null): Promise<Room> {
  const won = new AbortController();
  try {
    const drained = sink.drain().then(() => 'room' as const);
    if (stallMs === null) return await drained;
    const stalled = patience.clock.sleep(stallMs, won.signal).then(() => 'stalled' as const);
    return await Promise.race([drained, stalled]);
  } catch {
    return 'failed';
  } finally {
    won.abort();
  }
}

async function untilRoom(sink: OutputSink, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  // A sink that failed answers at its next write; reading is given up there.
  await Promise.race([sink.drain().catch(() => undefined), aborted]);
}

/**
 * An attached stream also ends when its connection breaks, without a sign. It is the true end if the container is
 * over soon after and the engine said so on a connection that never broke; else the log must be read.
 */
async function isTrueEnd({ over, answered }: OutputSource, { clock }: Patience): Promise<boolean> {
  const won = new AbortController();
  const ended = over.then(() => answered);
  const late = clock.sleep(END_FOLLOWS_MS, won.signal).then(() => false);
  try {
    return await Promise.race([ended, late]);
  } finally {
    won.abort();
  }
}
