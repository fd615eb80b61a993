import { statesText } from './counts.ts';
import { bySlot, CUBES, KEYS, type CubeColumn } from './cubes.ts';
import type { Known, SlotStretches, Stretch } from './nearest.ts';
import { placesOf, type Sizes } from './sizes.ts';
import { ask, list, type Steps } from './steps.ts';
import type { Grouping } from './summarize.ts';
import { eachTuple } from './tuples.ts';
import type { Where } from './where.ts';

/** The durations that stretches of a cube have, as one text of numbers: rows would cost more than what is in them. */
export function* fromSlots(
  slots: SlotStretches,
  { grouping, known, sizes }: { grouping: Grouping; known: Known; sizes: Sizes },
): Steps<void> {
  const { cube, stretches } = slots;
  const { columns: named, states } = grouping.where;
  const { by, state } = placesOf(grouping);
  const at = (column: CubeColumn): string => `k.${KEYS[cube.columns.indexOf(column)]!}`;
  const conditions = [...named].map(([column, numbers]) => `${at(column)} IN (${list(numbers)})`);
  if (states) conditions.push(statesText('k.state', states));
  // Where a cube has fewer columns the key is 0, and saying so leads the database through its index.
  for (const key of KEYS.slice(cube.columns.length)) conditions.push(`k.${key} = 0`);
  conditions.push(...(yield* placesInIndex(slots, { at, named, known })));
  // Of one stretch the database adds up; of several, slots tell which one a count is of.
  const isOne = stretches.length === 1;
  const groups = [...by.map(at), at('bucket'), ...(state ? ['k.state'] : []), ...(isOne ? [] : ['k.slot'])];
  const columns = [...groups, isOne ? 'CAST(sum(k.runs) AS bigint)' : 'k.runs'];
  const [row] = yield* ask<{ found: string | null }>(
    `SELECT string_agg(${columns.map((_, n) => `CAST(n${n} AS text)`).join(` || ',' || `)}, ',') AS found
     FROM (SELECT ${columns.map((column, n) => `${column} AS n${n}`).join(', ')} FROM run_counts k
       WHERE k.cube = ${cube.id} AND ${conditions.join(' AND ')}${isOne ? ` GROUP BY ${groups.join(', ')}` : ''}) AS counts`,
  );
  const first = stretches[0]!.since;
  const places = countedFor(stretches);
  eachTuple(row!.found ?? '', columns.length, (tuple) => {
    const runs = tuple[columns.length - 1]!;
    for (const [slice, times] of isOne ? places[0]! : places[tuple[columns.length - 2]! - first]!) {
      sizes.add({ key: tuple, state: state ? tuple[by.length + 1]! : 0, slice }, tuple[by.length]!, times * runs);
    }
  });
} // prettier-ignore

interface Places {
  at: (column: CubeColumn) => string;
  named: Where['columns'];
  known: Known;
}

/** Which slots and durations are read: where slots stand behind the durations in the index, each duration is looked for. */
function* placesInIndex({ cube, stretches }: SlotStretches, { at, named, known }: Places): Steps<string[]> {
  const [since, until] = hullOf(stretches);
  const covered = stretches.reduce((sum, { since, until }) => sum + until - since, 0);
  const range = `k.slot >= ${list([since])} AND k.slot < ${list([until])}`;
  const each = (): string => `k.slot IN (${list(stretches.flatMap(numbersOf))})`;
  const bucket = at('bucket');
  const alone = bySlot(cube);
  if (alone) return [`k.${alone}`, 2 * covered < until - since ? each() : range, `${bucket} > 0`];
  const isNamed = cube.columns.every((column) => column === 'bucket' || named.has(column));
  const looks = Math.min(covered * LOOK, until - since + LOOK);
  const whole = (known.counted - Math.max(known.oldest, 0)) / cube.slot_ms;
  // Behind a column of any value each look would read all slots.
  if (!isNamed || looks >= whole) return [range, `${bucket} > 0`];
  return [covered * LOOK < until - since ? each() : range, `${bucket} IN (${list(yield* bucketsThere())})`];
}

/** So many slots are read in the time that a look into the index takes. */
const LOOK = 4;

function numbersOf({ since, until }: Stretch): number[] {
  return Array.from({ length: until - since }, (_, n) => since + n);
}

function* bucketsThere(): Steps<number[]> {
  const [row] = yield* ask<{ least: number | null; most: number | null }>(
    `SELECT (SELECT min(a) FROM run_counts WHERE cube = ${BUCKETS} AND a > 0) AS least,
       (SELECT max(a) FROM run_counts WHERE cube = ${BUCKETS}) AS most`,
  );
  const { least, most } = row!;
  return least === null ? [0] : numbersOf({ since: least, until: most! + 1, of: [] });
}

/** The cube of all durations. */
const BUCKETS = CUBES.find(({ columns }) => columns.join() === 'bucket')!.id;

function hullOf(stretches: readonly Stretch[]): [since: number, until: number] {
  return [stretches[0]!.since, stretches.at(-1)!.until];
}

/** What each slot counts for, from the first one on. */
function countedFor(stretches: readonly Stretch[]): Stretch['of'][] {
  const [first, end] = hullOf(stretches);
  const places = new Array<Stretch['of']>(end - first).fill([]);
  for (const { since, until, of } of stretches) places.fill(of, since - first, until - first);
  return places;
}
