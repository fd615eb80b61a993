import { cubeConditions } from './counts.ts';
import { bySlot, CUBES, KEYS, type Cube, type CubeColumn } from './cubes.ts';
import type { Known, SlotStretches, Stretch } from './nearest.ts';
import { placesOf, type Sizes } from './sizes.ts';
import { ask, list, type Steps } from './steps.ts';
import type { Grouping } from './summarize.ts';
import { eachTuple } from './tuples.ts';

interface Reading {
  grouping: Grouping;
  known: Known;
  sizes: Sizes;
}

/** The durations that stretches of a cube have, as one text of numbers: rows would cost more than what is in them. */
export function* fromSlots(slots: SlotStretches, reading: Reading): Steps<void> {
  const { grouping, sizes } = reading;
  const { by, state } = placesOf(grouping);
  const groups = [...[...by, 'bucket' as const].map((column) => columnText(slots.cube, column)), ...(state ? ['k.state'] : [])];
  const slice = onlySlice(slots.stretches);
  const looks = slice === null ? [lookOfAll(slots, groups)] : slots.stretches.map((one) => lookOf(one, groups));
  const where = yield* conditionsOf(slots, reading, looks);
  const length = looks[0]!.columns.length;
  const texts = looks.map(
    ({ columns, slots, grouped }) =>
      `SELECT ${columns.map((column, n) => `${column} AS n${n}`).join(', ')} FROM run_counts k WHERE ${where} AND ${slots}${grouped}`,
  );
  const [row] = yield* ask<{ found: string | null }>(
    `SELECT string_agg(${looks[0]!.columns.map((_, n) => `CAST(n${n} AS text)`).join(` || ',' || `)}, ',') AS found
     FROM (${texts.join(' UNION ALL ')}) AS counts`,
  );
  const first = slots.stretches[0]!.since;
  const places = countedFor(slots.stretches);
  eachTuple(row!.found ?? '', length, (tuple) => {
    const [bucket, runs] = [tuple[by.length]!, tuple[length - 1]!];
    const add = (slice: number, times: number): void =>
      sizes.add({ key: tuple, state: state ? tuple[by.length + 1]! : 0, slice }, bucket, times * runs);
    if (slice !== null) add(slice, 1);
    else for (const [slice, times] of places[tuple[length - 2]! - first]!) add(slice, times);
  });
} // prettier-ignore

/** A column of a cube. What is read by slot gets a sign, or SQLite would read all of it to have it in the order of the key. */
function columnText(cube: Cube, column: CubeColumn): string {
  return `${bySlot(cube) ? '+' : ''}k.${KEYS[cube.columns.indexOf(column)]!}`;
}

/** The slice that all stretches are for; null: they are for several. */
function onlySlice(stretches: readonly Stretch[]): number | null {
  const slices = new Set(stretches.flatMap(({ of }) => of.map(([slice]) => slice)));
  const [slice] = slices;
  return slices.size === 1 ? slice! : null;
}

/** A part of a statement. */
interface Look {
  columns: string[];
  /** Which slots, and how many of them there are for each duration: those that are read, and looks for them. */
  slots: string;
  cost: number;
  grouped: string;
}

/** So many slots are read in the time that a look into the index takes. */
const LOOK = 4;

/** Of a stretch for one slice the database adds up. */
function lookOf({ since, until, of }: Stretch, groups: readonly string[]): Look {
  const [[, times]] = of as [Stretch['of'][number]];
  return {
    columns: [...groups, `CAST(${list([times])} * sum(k.runs) AS bigint)`],
    slots: rangeText(since, until),
    cost: until - since + LOOK,
    grouped: ` GROUP BY ${groups.join(', ')}`,
  };
}

/** Of stretches for several slices each count comes with its slot, which tells them apart. */
function lookOfAll({ cube, stretches }: SlotStretches, groups: readonly string[]): Look {
  const [since, until] = [stretches[0]!.since, stretches.at(-1)!.until];
  const covered = stretches.reduce((sum, { since, until }) => sum + until - since, 0);
  const [each, all] = [covered * (bySlot(cube) ? 1 : LOOK), until - since + LOOK];
  return {
    columns: [...groups, 'k.slot', 'k.runs'],
    slots: each < all ? `k.slot IN (${list(stretches.flatMap(numbersOf))})` : rangeText(since, until),
    cost: Math.min(each, all),
    grouped: '',
  };
}

function rangeText(since: number, until: number): string {
  return `k.slot >= ${list([since])} AND k.slot < ${list([until])}`;
}

function numbersOf({ since, until }: Pick<Stretch, 'since' | 'until'>): number[] {
  return Array.from({ length: until - since }, (_, n) => since + n);
}

/** What all looks have in common. */
function* conditionsOf({ cube }: SlotStretches, { grouping, known }: Reading, looks: readonly Look[]): Steps<string> {
  const named = grouping.where.columns;
  const at = (column: CubeColumn): string => columnText(cube, column);
  const conditions = [`k.cube = ${cube.id}`, ...cubeConditions(grouping.where, cube, at)];
  const alone = bySlot(cube);
  if (alone) conditions.push(`k.${alone}`);
  const isNamed = cube.columns.every((column) => column === 'bucket' || named.has(column));
  const whole = (known.counted - Math.max(known.oldest, 0)) / cube.slot_ms;
  const cost = looks.reduce((sum, look) => sum + look.cost, 0);
  // Slots stand behind the bucket in the key, so that for a part of time each bucket is looked for; behind a column of
  // any value that would read all slots each time.
  const areLookedFor = !alone && isNamed && cost < whole;
  conditions.push(`${at('bucket')} ${areLookedFor ? `IN (${list(yield* bucketsThere())})` : '> 0'}`);
  return conditions.join(' AND ');
} // prettier-ignore

/** The cube of all durations. */
const BUCKETS = CUBES.find(({ columns }) => columns.join() === 'bucket')!.id;

function* bucketsThere(): Steps<number[]> {
  const [row] = yield* ask<{ least: number | null; most: number | null }>(
    `SELECT (SELECT min(a) FROM run_counts WHERE cube = ${BUCKETS} AND a > 0) AS least,
       (SELECT max(a) FROM run_counts WHERE cube = ${BUCKETS}) AS most`,
  );
  const { least, most } = row!;
  return least === null ? [0] : numbersOf({ since: least, until: most! + 1 });
}

/** What each slot counts for, from the first one on. */
function countedFor(stretches: readonly Stretch[]): Stretch['of'][] {
  const [first, end] = [stretches[0]!.since, stretches.at(-1)!.until];
  const places = new Array<Stretch['of']>(end - first).fill([]);
  for (const { since, until, of } of stretches) places.fill(of, since - first, until - first);
  return places;
}
