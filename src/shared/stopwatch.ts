import type { Clock } from './ports.ts';

/** Answers the milliseconds since its start; a clock that is set back meanwhile takes none of them away. */
export function startStopwatch(clock: Pick<Clock, 'now'>): () => number {
  let last = clock.now();
  let passed = 0;
  return () => {
    const now = clock.now();
    passed += Math.max(0, now - last);
    last = now;
    return passed;
  };
}
