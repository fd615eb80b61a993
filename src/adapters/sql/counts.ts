import type { TimeSpan } from '../../history/search.ts';
import { COUNTED_UNTIL, cubesFor, KEYS, type Cube, type CubeColumn } from './cubes.ts';
import type { TermColumn } from './narrow.ts';
import { ask, list, type Steps } from './steps.ts';
import { conditionsOf, type Where } from './where.ts';

/** A part of time, half-open, and the number of the slice that it belongs to. */
export interface Piece {
  slice: number;
  since: number;
  until: number;
}

/** Times of runs lie between these: what a Date can hold. */
export const [BEGIN, END] = [-8.64e15, 8.64e15];

/** More rows of counts than this are not read. */
export const MOST_ROWS = 200_000;

export interface CountRow {
  /** The numbers of the columns that were asked for. */
  key: number[];
  slice: number;
  state: number;
  runs: number;
  /** The starts of these runs lie from `low` to `high`; `slot_ms` apart at the most from the true ones. */
  low: number;
  high: number;
  slot_ms: number;
}

/** Runs for each combination of `by`, slice and state: by a cube where one has what is needed, else run by run. */
export function* countRows(
  where: Where,
  { by, slices }: { by: readonly CubeColumn[]; slices: readonly Piece[] },
): Steps<CountRow[]> {
  if (!where.possible) return [];
  const { parts, rest } = yield* partsOf(where, { by, slices });
  const rows: CountRow[][] = [];
  for (const part of parts) rows.push(yield* fromCube(where, { ...part, by }));
  if (rest.length > 0) rows.push(yield* fromRuns(where, { by, pieces: rest }));
  return rows.flat();
}

/** Whole slots of a cube. */
interface Part {
  cube: Cube;
  slots: readonly Piece[];
}

/** Which cubes answer for which slots, and the rest; the longest slots that fit into a slice come first. */
function* partsOf(
  where: Where,
  { by, slices }: { by: readonly CubeColumn[]; slices: readonly Piece[] },
): Steps<{ parts: Part[]; rest: readonly Piece[] }> {
  const cubes = where.clauses.length > 0 ? [] : cubesFor([...by, ...where.columns.keys()]);
  const parts: Part[] = [];
  const counted = cubes.length > 0 ? yield* countedUntil() : 0;
  let rest = slices;
  for (const cube of cubes) {
    const { whole, rest: left } = cut(rest, cube, counted);
    if (whole.length > 0) parts.push({ cube, slots: whole });
    rest = left;
  }
  return { parts, rest };
}

export function* countedUntil(): Steps<number> {
  const [row] = yield* ask<{ value: string }>('SELECT value FROM meta WHERE name = ?', [COUNTED_UNTIL]);
  return Number(row?.value ?? 0);
}

/** Slots of a cube that lie in a slice as a whole, `since` and `until` being their numbers; and the rest. */
export function cut(
  slices: readonly Piece[],
  { slot_ms }: Cube,
  counted: number,
): { whole: Piece[]; rest: Piece[] } {
  const whole: Piece[] = [];
  const rest: Piece[] = [];
  for (const piece of slices) {
    const first = Math.ceil(Math.max(piece.since, 0) / slot_ms);
    const end = Math.floor(Math.min(piece.until, counted) / slot_ms);
    if (first >= end) {
      rest.push(piece);
      continue;
    }
    whole.push({ slice: piece.slice, since: first, until: end });
    const before = { ...piece, until: first * slot_ms };
    const after = { ...piece, since: end * slot_ms };
    // In their order, which the search for the slice of a slot counts on.
    rest.push(...[before, after].filter((one) => one.since < one.until));
  }
  return { whole, rest };
}

export function spanOf({ since, until }: TimeSpan): Piece {
  return { slice: 0, since: since ?? BEGIN, until: until ?? END };
}

type Row = Record<string, number>;

/** What is asked of the counts of a cube beside its slots; `at`: where it has a column. */
export function cubeConditions(
  { columns, states }: Pick<Where, 'columns' | 'states'>,
  cube: Cube,
  at: (column: CubeColumn) => string,
): string[] {
  const conditions = [...columns].map(([column, numbers]) => `${at(column)} IN (${list(numbers)})`);
  if (states) conditions.push(statesText('k.state', states));
  // Where a cube has fewer columns the key is 0, and saying so leads the database through its index.
  for (const key of KEYS.slice(cube.columns.length)) conditions.push(`k.${key} = 0`);
  return conditions;
}

function* fromCube(
  where: Where,
  { cube, slots, by }: Part & { by: readonly CubeColumn[] },
): Steps<CountRow[]> {
  const at = (column: CubeColumn): string => `k.${KEYS[cube.columns.indexOf(column)]!}`;
  const { columns } = where;
  const conditions = cubeConditions(where, cube, at);
  const apart = areLookedUp(cube, { slots, columns });
  // Slots stand behind the columns in the index, so that for a part of time each value of a column is looked for.
  if (apart) conditions.push(...everyValue(cube, columns).map(([column, values]) => `${at(column)} IN (${values})`));
  const selected = (slice: string, since: number, until: number): string => {
    const keys = [...by.map((column, n) => `${at(column)} AS g${n}`), `${slice} AS slice`, 'k.state AS state'];
    return `SELECT ${keys.join(', ')}, CAST(sum(k.runs) AS bigint) AS runs, min(k.slot) AS low, max(k.slot) AS high
      FROM run_counts k WHERE k.cube = ${cube.id} AND k.slot >= ${since} AND k.slot < ${until}${conditions.map((text) => ` AND ${text}`).join('')}
      GROUP BY ${keys.map((_, n) => n + 1).join(', ')}`;
  };
  // One after the other: PostgreSQL would not join a few ranges with many counts by the index.
  const texts = apart
    ? slots.map(({ slice, since, until }) => selected(list([slice]), since, until))
    : [selected(sliceOf(slots), slots[0]!.since, slots.at(-1)!.until)];
  const all = yield* ask<Row>(`${texts.join(' UNION ALL ')} LIMIT ${MOST_ROWS + 1}`);
  const rows = all.filter(({ slice }) => slice !== NO_SLICE);
  const { slot_ms } = cube;
  return rows.map((row) => ({
    ...rowOf(row, by.length),
    low: row['low']! * slot_ms,
    high: row['high']! * slot_ms + slot_ms - 1,
    slot_ms,
  }));
} // prettier-ignore

/** A range where they are one: a list may be looked up state by state. */
export function statesText(column: string, states: readonly number[]): string {
  const [least, most] = [Math.min(...states), Math.max(...states)];
  const isRange = most - least + 1 === new Set(states).size;
  return isRange
    ? `${column} >= ${list([least])} AND ${column} <= ${list([most])}`
    : `${column} IN (${list(states)})`;
}

/** More ranges than this are no part of one statement; more than a few are not looked up where they are most of the time. */
const [MOST_RANGES, FEW_RANGES] = [100, 4];

/** False: one reading of all slots from the first to the last is less work than a look for each range. */
function areLookedUp(cube: Cube, { slots, columns }: { slots: readonly Piece[]; columns: Where['columns'] }): boolean {
  if (slots.length <= 1) return true;
  if (slots.length > MOST_RANGES) return false;
  // With values that nobody lists, each look would read all slots.
  if (cube.columns.length > 2 && cube.columns.some((column) => !columns.has(column as TermColumn))) return false;
  const covered = slots.reduce((sum, { since, until }) => sum + until - since, 0);
  return slots.length <= FEW_RANGES || 2 * covered < slots.at(-1)!.until - slots[0]!.since;
} // prettier-ignore

/** All values of those columns of a cube that are not asked for, as long as there are few. */
function everyValue(cube: Cube, asked: Where['columns']): [CubeColumn, string][] {
  const open = cube.columns.filter((column) => !asked.has(column as TermColumn));
  if (cube.columns.length > 2) return [];
  return open.map((column) => [column, `SELECT 0 UNION ALL SELECT id FROM terms WHERE kind = '${column}'`]);
}

const NO_SLICE = -1;

/** The slice of a slot, by halves: there may be thousands, and a join would compare each with all. */
function sliceOf(slots: readonly Piece[]): string {
  if (slots.length === 1) {
    const { slice, since, until } = slots[0]!;
    return `CASE WHEN k.slot >= ${since} AND k.slot < ${until} THEN ${slice} ELSE ${NO_SLICE} END`;
  }
  const middle = Math.floor(slots.length / 2);
  const [before, after] = [slots.slice(0, middle), slots.slice(middle)];
  return `CASE WHEN k.slot < ${after[0]!.since} THEN ${sliceOf(before)} ELSE ${sliceOf(after)} END`;
}

function* fromRuns(
  where: Where,
  { by, pieces }: { by: readonly CubeColumn[]; pieces: readonly Piece[] },
): Steps<CountRow[]> {
  const { text, values } = conditionsOf(where);
  const keys = by.map((column) => `c.${column}`);
  const columns = keys.map((key, n) => `${key} AS g${n}, `).join('');
  const found: Row[][] = [];
  for (let from = 0; from < pieces.length; from += MOST_RANGES) {
    const some = pieces.slice(from, from + MOST_RANGES);
    // Each with its own bounds in the text: of a joined list PostgreSQL knows no bounds, and would read all runs.
    const texts = some.map(
      ({ slice, since, until }) => `SELECT ${columns}${list([slice])} AS slice, c.state AS state, count(*) AS runs,
         min(c.start) AS low, max(c.start) AS high FROM narrow_runs c
       WHERE c.start >= ${list([since])} AND c.start < ${list([until])}${text} GROUP BY ${[...keys, 'c.state'].join(', ')}`,
    );
    const bound = some.flatMap(() => values);
    found.push(yield* ask<Row>(`${texts.join(' UNION ALL ')} LIMIT ${MOST_ROWS + 1}`, bound));
  }
  return found.flat().map((row) => ({ ...rowOf(row, by.length), low: row['low']!, high: row['high']!, slot_ms: 0 }));
} // prettier-ignore

function rowOf(row: Row, columns: number): Pick<CountRow, 'key' | 'slice' | 'state' | 'runs'> {
  return {
    key: Array.from({ length: columns }, (_, n) => row[`g${n}`]!),
    slice: row['slice']!,
    state: row['state']!,
    runs: row['runs']!,
  };
}
