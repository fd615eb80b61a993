import fc from 'fast-check';
import { expect, it } from 'vitest';
import { startStopwatch } from '../../../src/shared/stopwatch.ts';

it('never goes back, and counts every step forward of a clock that is set back in between', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -7_200_000, max: 7_200_000 })), (steps) => {
      let now = 1_000_000;
      const elapsed = startStopwatch({ now: () => now });
      let forward = 0;
      for (const step of steps) {
        now += step;
        forward += Math.max(0, step);
        expect(elapsed()).toBe(forward);
      }
    }),
  );
});
