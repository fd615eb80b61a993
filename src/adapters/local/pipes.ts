import { type Readable } from 'node:stream';
import { type Clock } from '../../shared/ports.ts';
import { type OutputSink, type Stream } from '../../runs/executor.ts';

export interface Pipes {
  /** Resolves when both pipes are at their end. */
  ended: Promise<void>;
  /** Resolves at once, or when a pause that the sink asked for is over. */
  flowing(): Promise<void>;
  /** Milliseconds spent in pauses since `since` (epoch ms), so that a slow sink is not taken for a held pipe. */
  pausedSince(since: number): number;
  /** Goes on reading and throws away: a closed or full pipe would disturb the process. */
  discard(): void;
  /** Closes our ends. */
  close(): void;
}

/** Hands both pipes of a process to the sink, pausing both while it has no room. */
export function readPipes(sources: Record<Stream, Readable>, sink: OutputSink, clock: Clock): Pipes {
  const both = Object.values(sources);
  const pauses: { from: number; to: number | null }[] = [];
  let gate: Promise<void> | null = null;
  let discarding = false;

  const discard = (): void => {
    discarding = true;
    for (const source of both) source.resume();
  };
  const pause = (): void => {
    if (gate !== null) return;
    const span: { from: number; to: number | null } = { from: clock.now(), to: null };
    pauses.push(span);
    for (const source of both) source.pause();
    gate = sink.drain().then(
      () => {
        gate = null;
        span.to = clock.now();
        for (const source of both) source.resume();
      },
      () => {
        gate = null;
        discard();
      },
    );
  };
  for (const stream of ['stdout', 'stderr'] as const) {
    sources[stream].on('data', (chunk: Uint8Array) => {
      if (discarding) return;
      try {
        if (!sink.write(stream, chunk)) pause();
      } catch {
        discard();
      }
    });
  }

  return {
    ended: Promise.all(both.map(endOf)).then(() => undefined),
    flowing: () => gate ?? Promise.resolve(),
    pausedSince: (since) =>
      pauses.reduce((ms, { from, to }) => ms + Math.max(0, (to ?? clock.now()) - Math.max(from, since)), 0),
    discard,
    close: () => both.forEach((source) => source.destroy()),
  };
}

function endOf(source: Readable): Promise<void> {
  return new Promise((resolve) => {
    source.on('end', resolve);
    source.on('close', resolve);
    source.on('error', () => resolve());
  });
}
