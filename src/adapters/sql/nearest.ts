import type { Piece } from './counts.ts';
import { DAY, type Cube } from './cubes.ts';

// No month of Berlin is a row of whole slots, but each is the nearest such row, with a little more at one border and a
// little less at the other. What lies at a border that two slices share is read once.

/** A part of time, and how often what began in it counts for each slice; -1: it is taken out again. */
export interface Stretch {
  since: number;
  until: number;
  of: readonly (readonly [slice: number, times: number])[];
}

/** Slots of a cube; `since` and `until` are their numbers. */
export interface SlotStretches {
  cube: Cube;
  stretches: readonly Stretch[];
}

export interface Known {
  /** Those that have what is asked for, those of long slots first. Slots are parts of the longer ones. */
  cubes: readonly Cube[];
  /** Runs from 1970 up to there are in them. */
  counted: number;
  /** When the first and the last of all runs began. */
  oldest: number;
  newest: number;
}

/** What slices are made of: slots of cubes, and stretches of which the runs themselves are read. */
export function nearest(
  slices: readonly Piece[],
  known: Known,
): { slots: SlotStretches[]; runs: readonly Stretch[] } {
  const { counted, oldest } = known;
  const pieces = slices.flatMap((slice) => bordered(slice, known));
  const cubes = cheapest(pieces, known.cubes);
  const levels = cubes.map((): Signed[] => []);
  const runs = slices.flatMap((slice) => uncounted(slice, known));
  const first = Math.max(oldest, 0);
  const within = (time: number): number => Math.min(Math.max(time, first), counted);
  for (const { slice, since, until } of pieces) {
    const [from, to] = [roundings(since, cubes), roundings(until, cubes)];
    // From one level to the next the borders move, at last to where they are.
    const moved = (n: number): Signed[] => [
      { slice, from: from[n]!, to: n === 0 ? to[n]! : from[n - 1]! },
      ...(n === 0 ? [] : [{ slice, from: to[n - 1]!, to: to[n]! }]),
    ];
    for (const [n, level] of levels.entries()) level.push(...moved(n));
    runs.push(...moved(cubes.length).map(({ from, to }) => ({ slice, from: within(from), to: within(to) })));
  }
  const slots = cubes.map((cube, n) => ({ cube, stretches: swept(levels[n]!, cube.slot_ms) }));
  return { slots: slots.filter(({ stretches }) => stretches.length > 0), runs: swept(runs, 1) };
} // prettier-ignore

/** The counted part of a slice. Where no run is beyond a border it is moved to one of the longest slots. */
function bordered({ slice, since, until }: Piece, { cubes, counted, oldest }: Known): Piece[] {
  const longest = cubes[0]?.slot_ms ?? 1;
  const first = Math.max(oldest, 0);
  const from = since <= first ? Math.floor(first / longest) * longest : since;
  const to = until >= counted ? Math.ceil(counted / longest) * longest : until;
  return from < Math.min(to, counted) ? [{ slice, since: from, until: to }] : [];
}

function uncounted({ slice, since, until }: Piece, { counted, oldest, newest }: Known): Signed[] {
  const parts = [
    { slice, from: Math.max(since, oldest), to: Math.min(until, 0) },
    { slice, from: Math.max(since, counted), to: Math.min(until, newest + 1) },
  ];
  return parts.filter(({ from, to }) => from < to);
}

/** A border on each level: the nearest one of slots, and itself. */
function roundings(border: number, cubes: readonly Cube[]): number[] {
  return [...cubes.map(({ slot_ms }) => Math.round(border / slot_ms) * slot_ms), border];
}

/** What the runs of a day cost to read, in slots. */
const SLOTS_OF_A_DAY = 8;

/** Cubes of long slots are left out where shorter slots alone are less to read. */
function cheapest(pieces: readonly Piece[], cubes: readonly Cube[]): readonly Cube[] {
  const choices = [...cubes, null].map((_, n) => cubes.slice(n));
  const costs = choices.map((some) => costOf(pieces, some));
  return choices[costs.indexOf(Math.min(...costs))]!;
}

function costOf(pieces: readonly Piece[], cubes: readonly Cube[]): number {
  const steps = [...cubes.map(({ slot_ms }) => slot_ms), DAY / SLOTS_OF_A_DAY];
  let cost = 0;
  for (const { since, until } of pieces) {
    cost += (roundings(until, cubes)[0]! - roundings(since, cubes)[0]!) / steps[0]!;
  }
  for (const border of new Set(pieces.flatMap(({ since, until }) => [since, until]))) {
    const rounded = roundings(border, cubes);
    for (let n = 1; n < steps.length; n += 1) cost += Math.abs(rounded[n]! - rounded[n - 1]!) / steps[n]!;
  }
  return cost;
}

/** Where `to` is before `from`, what is between them is taken out. */
interface Signed {
  slice: number;
  from: number;
  to: number;
}

/** Disjoint stretches in the order of time, in steps of so many milliseconds. */
function swept(parts: readonly Signed[], step: number): Stretch[] {
  const turns = parts.flatMap(({ slice, from, to }) => [
    { at: from / step, slice, by: 1 },
    { at: to / step, slice, by: -1 },
  ]);
  turns.sort((a, b) => a.at - b.at);
  const stretches: Stretch[] = [];
  const now = new Map<number, number>();
  for (const [n, { at, slice, by }] of turns.entries()) {
    const times = (now.get(slice) ?? 0) + by;
    if (times === 0) now.delete(slice);
    else now.set(slice, times);
    const next = turns[n + 1]?.at ?? at;
    if (next > at && now.size > 0) stretches.push({ since: at, until: next, of: [...now] });
  }
  return stretches;
}
