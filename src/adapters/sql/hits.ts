import { spanOf } from './counts.ts';
import { CLASS_SIZE, type TermColumn } from './narrow.ts';
import { STATES } from './spans.ts';
import { ask, list, type Steps } from './steps.ts';
import { conditionsOf, type Clause, type Where } from './where.ts';

/** All runs of a question, as rows `start, n`, where an index leads to few of them; else null. */
export function* hitsOf(where: Where, total: number): Steps<Clause | null> {
  const { since, until } = spanOf(where.span);
  const span = `c.start >= ${since} AND c.start < ${until}`;
  if (where.few) {
    const { text, values } = conditionsOf(where);
    return { text: `SELECT c.start, c.n FROM narrow_runs c WHERE ${span}${text}`, values };
  }
  const looks = total <= FEW_RUNS && where.clauses.length === 0 ? yield* looksOf(where) : null;
  if (!looks) return null;
  // Units tell all but the action, which is in their index, too.
  const actions = where.columns.get('action');
  const action = actions ? ` AND c.action IN (${list(actions)})` : '';
  const text = `WITH looks (unit, state) AS (VALUES ${looks.join(', ')}) SELECT c.start, c.n FROM looks l CROSS JOIN narrow_runs c
    WHERE c.unit = l.unit AND c.state = l.state AND ${span}${action}`;
  return { text, values: [] };
} // prettier-ignore

/** So many are found by their units sooner than in the days in which they are. */
const FEW_RUNS = 10_000;
const MOST_LOOKS = 1_500;

/** The units and states of all runs of a question; null: they are not known, or too many. */
function* looksOf({ columns, states, span }: Where): Steps<string[] | null> {
  const names = [...columns.keys()];
  if (!states || states.some((state) => state >= CLASS_SIZE)) return null;
  if (!names.every((column) => OF_UNITS.includes(column)) || !(columns.has('place') || columns.has('block'))) return null;
  // A run without a block is of no unit.
  if (!columns.has('block') && (yield* ask(`SELECT 1 AS one FROM narrow_runs WHERE unit = 0 AND state < ${CLASS_SIZE} LIMIT 1`)).length > 0) return null;
  const { since, until } = spanOf(span);
  const conditions = [...columns].map(([column, numbers]) => `x.${column} IN (${list(numbers)})`);
  if (!columns.has('action')) conditions.push('x.action = 0');
  const rows = yield* ask<{ unit: number }>(
    `SELECT DISTINCT x.unit AS unit FROM unit_spans x WHERE ${conditions.join(' AND ')} AND x.first_run < ${until} AND x.last_run >= ${since}
     LIMIT ${MOST_LOOKS}`,
  );
  const looks = rows.flatMap(({ unit }) => STATES.filter((state) => states.includes(state)).map((state) => `(${list([unit, state])})`));
  return looks.length === 0 || looks.length > MOST_LOOKS ? null : looks;
} // prettier-ignore

const OF_UNITS: readonly TermColumn[] = [
  'organization',
  'place',
  'environment',
  'block',
  'release',
  'origin',
  'action',
];
