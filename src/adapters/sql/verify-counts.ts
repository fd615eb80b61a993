import type { Finding } from '../../ledger/verify.ts';
import { CUBES, KEYS, keysOf, type Cube } from './cubes.ts';
import { ask, type Steps } from './steps.ts';
import { countedUntil } from './counts.ts';

const MOST_SHOWN = 20;

/** What is wrong with the counts of a cube whose sum is not the sum of its runs. */
export function* wrongCounts(id: number): Steps<Finding[]> {
  const cube = CUBES.find((one) => one.id === id)!;
  const until = yield* countedUntil();
  const place = [...KEYS, 'slot', 'state'].join(', ');
  const right = `SELECT ${keysOf(cube, (column) => `r.${column}`).map((key, n) => `${key} AS ${KEYS[n]!}`).join(', ')},
      r.start / ${cube.slot_ms} AS slot, r.state AS state, count(*) AS runs
    FROM narrow_runs r WHERE r.start >= 0 AND r.start < ${until} GROUP BY 1, 2, 3, 4, 5`;
  const stored = `SELECT ${place}, runs FROM run_counts WHERE cube = ${id}`;
  const rows = yield* ask<Record<string, number>>(
    `SELECT ${place}, max(wanted) AS wanted, max(found) AS found FROM (
       SELECT ${place}, runs AS wanted, NULL AS found FROM (${right} EXCEPT ${stored}) AS missing
       UNION ALL SELECT ${place}, NULL, runs FROM (${stored} EXCEPT ${right}) AS added) AS wrong
     GROUP BY ${place} ORDER BY slot LIMIT ${MOST_SHOWN}`,
  );
  return rows.map((row) => findingOf(cube, row as never));
} // prettier-ignore

function findingOf(
  cube: Cube,
  { slot, wanted, found }: { slot: number; wanted: number | null; found: number | null },
): Finding {
  const from = new Date(slot * cube.slot_ms).toISOString();
  const what = cube.columns.length > 0 ? `runs by ${cube.columns.join(' and ')}` : 'all runs';
  const says = `the counts of ${what} from ${from} on say ${found ?? 'nothing'} where there are ${wanted ?? 'none'}`;
  const fault = found === null ? 'row_missing' : wanted === null ? 'row_unexpected' : 'row_changed';
  return { fault, table: 'run_counts', field: `cube ${cube.id}`, says };
}

/** Rows of `narrow_runs` that are of no run, or lie where it did not begin. */
export function* strayRuns(): Steps<Finding[]> {
  const rows = yield* ask<{ start: number; n: number }>(
    `SELECT c.start AS start, c.n AS n FROM narrow_runs c LEFT JOIN runs r ON r.n = c.n
     WHERE r.n IS NULL OR coalesce(r.started_at, r.requested_at) <> c.start LIMIT ${MOST_SHOWN}`,
  );
  return rows.map(({ start, n }) => {
    const says = `narrow_runs has a row, number ${n} at ${start}, that is of no run`;
    return { fault: 'row_unexpected', table: 'narrow_runs', says };
  });
}

/** A cube that does not exist has no counts. */
export function unknownCube(id: number): Finding {
  const says = `run_counts has counts of a cube ${id}, which does not exist`;
  return { fault: 'row_unexpected', table: 'run_counts', field: `cube ${id}`, says };
}
