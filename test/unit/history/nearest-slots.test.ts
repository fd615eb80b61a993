import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cubesFor, DAY, HOUR } from '../../../src/adapters/sql/cubes.ts';
import { nearest, type Known } from '../../../src/adapters/sql/nearest.ts';
import { timeSlices } from '../../../src/history/time-slices.ts';

const YEARS = 1_200 * DAY;
const [BEGIN, END] = [-8.64e15, 8.64e15];
const cubes = cubesFor(['bucket']);

/** Runs of each slice, counted from what `nearest` says it is made of. */
function counted(starts: readonly number[], borders: readonly number[], known: Known): number[] {
  const slices = borders.slice(1).map((until, n) => ({ slice: n, since: borders[n]!, until }));
  const counts = slices.map(() => 0);
  const { slots, runs } = nearest(slices, known);
  const inCubes = starts.filter((start) => start >= 0 && start < known.counted);
  const told = [
    ...slots.map(({ cube, stretches }) => ({ stretches, at: inCubes.map((start) => Math.floor(start / cube.slot_ms)) })),
    { stretches: runs, at: starts },
  ];
  for (const { stretches, at } of told) {
    for (const { since, until, of } of stretches) {
      const there = at.filter((one) => one >= since && one < until).length;
      for (const [slice, times] of of) counts[slice]! += times * there;
    }
  }
  return counts;
} // prettier-ignore

function knownOf(starts: readonly number[], hours: number): Known {
  return {
    cubes,
    counted: hours * HOUR,
    oldest: Math.min(...starts),
    newest: Math.max(...starts),
  };
}

describe('slices from the nearest slots', () => {
  it('have the runs that began in them, wherever their borders are', () => {
    const time = fc.oneof(
      fc.integer({ min: -DAY, max: YEARS }),
      fc.integer({ min: 0, max: 1_200 }).map((day) => day * DAY),
    );
    const border = fc.oneof(time, fc.constantFrom(BEGIN, END));
    fc.assert(
      fc.property(
        fc.array(time, { minLength: 1, maxLength: 60 }),
        fc.uniqueArray(border, { minLength: 2, maxLength: 40 }),
        fc.integer({ min: 0, max: 1_210 * 24 }),
        (starts, some, hours) => {
          const borders = some.sort((a, b) => a - b);
          const right = borders
            .slice(1)
            .map((until, n) => starts.filter((start) => start >= borders[n]! && start < until).length);
          expect(counted(starts, borders, knownOf(starts, hours))).toEqual(right);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('read stretches that do not overlap, in the order of time', () => {
    const slices = [3, 40, 41, 700].map((day, slice) => ({ slice, since: day * DAY + HOUR, until: (day + 9) * DAY }));
    const { slots, runs } = nearest(slices, knownOf([0, YEARS], 1_200 * 24));
    for (const { stretches } of [...slots, { stretches: runs }]) {
      for (const [n, { since, until }] of stretches.entries()) {
        expect(since).toBeLessThan(until);
        expect(since).toBeGreaterThanOrEqual(stretches[n - 1]?.until ?? -Infinity);
      }
    }
  }); // prettier-ignore

  const oldest = Date.UTC(2023, 9, 1);
  const three = { since: oldest, until: oldest + 1_096 * DAY };
  const known = { cubes, counted: three.until - 2 * HOUR, oldest, newest: three.until - 1 };
  const slicesBy = (unit: 'hour' | 'day' | 'month', span = three) =>
    timeSlices(span, { unit, zone: 'Europe/Berlin' }).map((one, slice) => ({ slice, ...one }));
  const lengthOf = (stretches: readonly { since: number; until: number }[]): number =>
    stretches.reduce((sum, { since, until }) => sum + until - since, 0);

  it('need of months no more runs than two hours at each border', () => {
    const { slots, runs } = nearest(slicesBy('month'), known);
    expect(lengthOf(runs)).toBeLessThanOrEqual((37 + 1) * 2 * HOUR);
    // All of it in slots of four days alone would be 274 of them.
    const read = slots.reduce((sum, { stretches }) => sum + lengthOf(stretches), 0);
    expect(read).toBeLessThan(200);
  });

  it('need of days the hours by which the zone differs, once', () => {
    const span = { since: oldest + 100 * DAY + HOUR, until: oldest + 190 * DAY + HOUR };
    const { runs } = nearest(slicesBy('day', span), known);
    expect(lengthOf(runs)).toBeLessThanOrEqual(92 * 2 * HOUR);
  });

  it('are the runs alone where slots are longer than they are', () => {
    const span = { since: oldest + 100 * DAY, until: oldest + 102 * DAY };
    const { slots, runs } = nearest(slicesBy('hour', span), known);
    expect(slots).toEqual([]);
    expect(lengthOf(runs)).toBe(2 * DAY);
  });
});
