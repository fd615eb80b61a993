import type { TermColumn } from './narrow.ts';

export type CubeColumn = TermColumn | 'bucket';

/**
 * Counts of runs for each combination of the columns, each state, and each slot of time (UTC) by its start. One
 * question reads one combination, in slots as long as fit; what no cube has is counted run by run.
 */
export interface Cube {
  id: number;
  /** Three at the most. What comes first may be asked for alone. */
  columns: readonly CubeColumn[];
  slot_ms: number;
}

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
/** Whole slots of the longest kind answer for most of an interval, shorter ones for its borders. */
const [SHORT, PERIOD, AGE] = [4 * DAY, 32 * DAY, 512 * DAY];

/** Chosen by size: none has more rows than a third of the runs of a ledger with ten thousand a day. The ids are stored. */
export const CUBES: readonly Cube[] = [
  { id: 0, columns: [], slot_ms: HOUR },
  { id: 1, columns: ['environment'], slot_ms: HOUR },
  { id: 2, columns: ['organization'], slot_ms: DAY },
  { id: 3, columns: ['place'], slot_ms: DAY },
  { id: 4, columns: ['block'], slot_ms: DAY },
  { id: 5, columns: ['action'], slot_ms: DAY },
  { id: 6, columns: ['crew'], slot_ms: DAY },
  { id: 7, columns: ['host'], slot_ms: DAY },
  { id: 8, columns: ['release'], slot_ms: DAY },
  { id: 9, columns: ['client'], slot_ms: DAY },
  { id: 10, columns: ['source'], slot_ms: DAY },
  { id: 11, columns: ['block', 'action'], slot_ms: DAY },
  { id: 12, columns: ['environment', 'action'], slot_ms: DAY },
  { id: 13, columns: ['organization', 'action'], slot_ms: DAY },
  { id: 14, columns: ['block', 'release'], slot_ms: DAY },
  { id: 15, columns: ['crew', 'action'], slot_ms: DAY },
  { id: 16, columns: ['block', 'environment', 'action'], slot_ms: DAY },
  { id: 17, columns: ['place', 'block', 'action'], slot_ms: DAY },
  // Totals over years, for which hours would be too many.
  { id: 18, columns: [], slot_ms: DAY },
  { id: 19, columns: ['environment'], slot_ms: DAY },
  { id: 20, columns: ['bucket'], slot_ms: PERIOD },
  { id: 21, columns: ['organization', 'bucket'], slot_ms: PERIOD },
  { id: 22, columns: ['place', 'bucket'], slot_ms: PERIOD },
  { id: 23, columns: ['environment', 'bucket'], slot_ms: PERIOD },
  { id: 24, columns: ['block', 'action', 'bucket'], slot_ms: PERIOD },
  { id: 25, columns: ['action', 'bucket'], slot_ms: PERIOD },
  { id: 26, columns: ['crew', 'bucket'], slot_ms: PERIOD },
  // The same in other slots.
  { id: 27, columns: ['organization'], slot_ms: PERIOD },
  { id: 28, columns: ['place'], slot_ms: PERIOD },
  { id: 29, columns: ['block'], slot_ms: PERIOD },
  { id: 30, columns: ['crew'], slot_ms: PERIOD },
  { id: 31, columns: ['host'], slot_ms: PERIOD },
  { id: 32, columns: ['block', 'action'], slot_ms: PERIOD },
  { id: 33, columns: ['organization', 'action'], slot_ms: PERIOD },
  { id: 34, columns: ['block', 'release'], slot_ms: PERIOD },
  { id: 35, columns: ['crew', 'action'], slot_ms: PERIOD },
  { id: 36, columns: ['block', 'environment', 'action'], slot_ms: PERIOD },
  { id: 37, columns: ['place', 'block', 'action'], slot_ms: PERIOD },
  { id: 38, columns: ['bucket'], slot_ms: DAY },
  { id: 39, columns: ['bucket'], slot_ms: SHORT },
  { id: 40, columns: ['organization', 'bucket'], slot_ms: SHORT },
  { id: 41, columns: ['environment', 'bucket'], slot_ms: SHORT },
  { id: 42, columns: ['action', 'bucket'], slot_ms: SHORT },
  { id: 43, columns: ['environment', 'action', 'bucket'], slot_ms: SHORT },
  // Durations over years.
  { id: 44, columns: ['bucket'], slot_ms: AGE },
  { id: 45, columns: ['organization', 'bucket'], slot_ms: AGE },
  { id: 46, columns: ['place', 'bucket'], slot_ms: AGE },
  { id: 47, columns: ['environment', 'bucket'], slot_ms: AGE },
  { id: 48, columns: ['block', 'action', 'bucket'], slot_ms: AGE },
  { id: 49, columns: ['action', 'bucket'], slot_ms: AGE },
  { id: 50, columns: ['crew', 'bucket'], slot_ms: AGE },
];

/** Cubes of all durations of which parts of time are asked for: each slot as a whole. */
const BY_SLOT = CUBES.filter(({ columns, slot_ms }) => columns.join() === 'bucket' && slot_ms < PERIOD).map(
  ({ id }) => id,
);

/** Whether counts of a cube are in `SLOT_INDEX`, as a condition: SQLite wants the index's own. Null: they are not. */
export function bySlot({ id }: Cube): string | null {
  return BY_SLOT.includes(id) ? IS_BY_SLOT : null;
}

const IS_BY_SLOT = `cube IN (${BY_SLOT.join(', ')})`;
export const SLOT_INDEX = `CREATE INDEX run_counts_by_slot ON run_counts (cube, slot, a, b, c, state, runs) WHERE ${IS_BY_SLOT};`;

/** The columns of `run_counts` that hold the columns of a cube, in their order; 0 where it has fewer. */
export const KEYS = ['a', 'b', 'c'] as const;

/** The cubes that answer about these columns with the fewest rows, those of long slots first; none: no cube does. */
export function cubesFor(columns: readonly CubeColumn[]): readonly Cube[] {
  const wanted = [...new Set(columns)];
  const fitting = CUBES.filter(
    (cube) =>
      wanted.every((column) => cube.columns.includes(column)) &&
      // What is not asked for must not stand in front: else all of the cube is read.
      (wanted.length === 0 || wanted.includes(cube.columns[0]!)) &&
      (wanted.includes('bucket') || !cube.columns.includes('bucket')),
  );
  const [best] = [...fitting].sort((a, b) => a.columns.length - b.columns.length || a.id - b.id);
  const same = fitting.filter((cube) => cube.columns.join() === best!.columns.join());
  return same.sort((a, b) => b.slot_ms - a.slot_ms);
}

/** What a cube has in each of the three key columns, as an expression over `narrow_runs`. */
export function keysOf({ columns }: Cube, column: (name: CubeColumn) => string): string[] {
  return KEYS.map((_, index) => (columns[index] ? column(columns[index]) : '0'));
}

/**
 * Adds runs to the counts of each cube: `source` is what follows FROM, with `narrow_runs` under the name `c`.
 * What is taken away leaves rows of 0 behind, for `DROP_EMPTY`.
 */
export function countStatements(source: string, sign: '' | '-' = ''): string[] {
  return CUBES.map(
    (cube) =>
      `INSERT INTO run_counts (cube, a, b, c, slot, state, runs)
       SELECT ${cube.id}, ${keysOf(cube, (name) => `c.${name}`).join(', ')}, c.start / ${cube.slot_ms}, c.state, ${sign}count(*)
       FROM ${source} GROUP BY 2, 3, 4, 5, 6
       ON CONFLICT (cube, a, b, c, slot, state) DO UPDATE SET runs = run_counts.runs + excluded.runs`,
  );
}

export const DROP_EMPTY = 'DELETE FROM run_counts WHERE runs = 0';

/** The name in `meta` of the time (ms) before which runs are in the counts; those from before 1970 never are. */
export const COUNTED_UNTIL = 'counted_until';

/** How far the counts shall reach when something is stored at `at`: runs of the last hours change most. */
export function countedUntil(at: number): number {
  return Math.floor(at / HOUR) * HOUR - HOUR;
}

const UNTIL = `(SELECT coalesce(max(CAST(value AS bigint)), 0) FROM meta WHERE name = '${COUNTED_UNTIL}')`;

/** How many runs there are, of whatever kind; counting each of them would take longer. */
export const TOTAL_RUNS = `((SELECT coalesce(CAST(sum(runs) AS bigint), 0) FROM run_counts WHERE cube = 0)
  + (SELECT count(*) FROM narrow_runs WHERE start < 0) + (SELECT count(*) FROM narrow_runs WHERE start >= ${UNTIL}))`;
