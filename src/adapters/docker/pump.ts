import { type Readable } from 'node:stream';
import { messageOf } from '../../shared/errors.ts';

/** How a wait for room ended: the sink has room, took too long, or will never have room again. */
export type Room = 'room' | 'stalled' | 'failed';
export type PumpOutcome = 'end' | 'broken' | 'stalled' | 'given up';

export interface PumpOptions {
  room: () => Promise<Room>;
  /** Gives the stream up; what was not read stays with the engine. */
  signal: AbortSignal;
}

/** Feeds a stream's chunks, pausing it whenever `feed` answers false. Never rejects; destroys the stream. */
export function pump(
  stream: Readable,
  feed: (chunk: Uint8Array) => boolean,
  { room, signal }: PumpOptions,
): Promise<PumpOutcome> {
  return new Promise((resolve) => {
    const giveUp = (): void => finish('given up');
    const finish = (outcome: PumpOutcome): void => {
      stream.off('data', onData);
      signal.removeEventListener('abort', giveUp);
      stream.destroy();
      resolve(outcome);
    };
    const afterRoom = (answer: Room): void => {
      if (answer === 'room') stream.resume();
      else finish(answer === 'stalled' ? 'stalled' : 'given up');
    };
    const onData = (chunk: Uint8Array): void => {
      try {
        if (feed(chunk)) return;
      } catch (error) {
        stream.destroy(error instanceof Error ? error : new Error(messageOf(error)));
        return giveUp();
      }
      stream.pause();
      void room().then(afterRoom);
    };
    signal.addEventListener('abort', giveUp);
    stream.on('end', () => finish('end'));
    stream.on('error', () => finish('broken'));
    stream.on('close', () => finish('broken'));
    stream.on('data', onData);
    if (signal.aborted) giveUp();
  });
}
