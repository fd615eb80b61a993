import type { Finding } from '../../ledger/verify.ts';
import { END_COLUMNS, EACH_ACTION, TOLD, UNIT_COLUMNS, endsOf } from './spans.ts';
import { ask, type Steps } from './steps.ts';

const MOST_SHOWN = 20;

const ENDS = END_COLUMNS.join(', ');
const RIGHT = EACH_ACTION.map(
  ({ action, rows }) =>
    `SELECT ${action} AS action, c.unit AS unit, ${endsOf('c')} FROM narrow_runs c WHERE ${TOLD} AND ${rows}
     GROUP BY c.unit${action === '0' ? '' : `, ${action}`}`,
).join(' UNION ALL ');
const STORED = `SELECT action, unit, ${ENDS} FROM unit_spans`;

/** What is wrong with what is told of when the runs of each unit began. */
export function* wrongSpans(): Steps<Finding[]> {
  const rows = yield* ask<{ action: number; unit: number; wanted: number; found: number }>(
    `SELECT action, unit, max(wanted) AS wanted, max(found) AS found FROM (
       SELECT action, unit, 1 AS wanted, 0 AS found FROM (SELECT * FROM (${RIGHT}) AS r EXCEPT ${STORED}) AS missing
       UNION ALL SELECT action, unit, 0, 1 FROM (${STORED} EXCEPT SELECT * FROM (${RIGHT}) AS r) AS added) AS wrong
     GROUP BY action, unit ORDER BY unit, action LIMIT ${MOST_SHOWN}`,
  );
  const strays = yield* ask<{ action: number; unit: number }>(
    `SELECT x.action AS action, x.unit AS unit FROM unit_spans x WHERE NOT EXISTS (
       SELECT 1 FROM narrow_runs c WHERE c.start = x.first_run AND ${TOLD} AND (x.action = 0 OR c.action = x.action)
         AND ${UNIT_COLUMNS.map((column) => `c.${column} = x.${column}`).join(' AND ')}) LIMIT ${MOST_SHOWN}`,
  );
  const told = new Set(rows.map(({ action, unit }) => `${action} ${unit}`));
  return [
    ...rows.map((row) => findingOf(row, row)),
    ...strays.filter(({ action, unit }) => !told.has(`${action} ${unit}`)).map((row) => findingOf(row, { wanted: 1, found: 1 })),
  ];
} // prettier-ignore

function findingOf(
  { action, unit }: { action: number; unit: number },
  { wanted, found }: { wanted: number; found: number },
): Finding {
  const fault = found === 0 ? 'row_missing' : wanted === 0 ? 'row_unexpected' : 'row_changed';
  const of = action === 0 ? '' : ` under action ${action}`;
  const says = `unit_spans says of unit ${unit}${of} what its runs do not say`;
  return { fault, table: 'unit_spans', field: `unit ${unit}`, says };
}
