import { type Clock } from '../../shared/ports.ts';
import { engineGone, isUnreachable } from './engine-errors.ts';

export interface Patience {
  clock: Clock;
  /** How long an engine may be unreachable before a run is left to a later adopter. */
  unreachableMs: number;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;

/** Repeats a harmless call while no engine answers; refusals pass. Throws `engine_unavailable` at the limit. */
export async function patiently<T>({ clock, unreachableMs }: Patience, call: () => Promise<T>): Promise<T> {
  let since: number | null = null;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await call();
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      since ??= clock.now();
      if (clock.now() - since >= unreachableMs) throw engineGone(error, 'follow a run');
      await clock.sleep(pause);
    }
  }
}
