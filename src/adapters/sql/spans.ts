import { RUN_STATUSES } from '../../runs/action-run.ts';
import { CLASS_SIZE } from './narrow.ts';

// `unit_spans` tells when the first and the last run of each unit began, and the first and the last that succeeded: for each
// action, and with action 0 for all of them. It is kept in the transaction of the event, so that whoever asks which
// versions there are reads one row for each instead of looking at runs.

/** Of runs that count. */
export const SUCCESS = 2;
export const FAILED = 3;
export const STATES = RUN_STATUSES.map((_, state) => state);

/** What a unit is made of, in the order of the primary key, so that the versions of one block in one place are neighbours. */
export const UNIT_COLUMNS = [
  'place',
  'block',
  'release',
  'unit',
  'organization',
  'environment',
  'origin',
] as const;
export const END_COLUMNS = ['first_run', 'last_run', 'first_success', 'last_success'] as const;
export const SPAN_COLUMNS = ['action', ...UNIT_COLUMNS, ...END_COLUMNS] as const;

export const SPAN_INDEXES = `
CREATE INDEX unit_spans_by_block ON unit_spans (action, block, release);
CREATE INDEX unit_spans_by_origin ON unit_spans (action, origin, release);
`;

/** The actions under which a run is told of. */
export const EACH_ACTION = [
  { action: '0', rows: 'true' },
  { action: 'c.action', rows: 'c.action <> 0' },
] as const;

/** Which rows of `narrow_runs`, under the name `c`, are told of. */
export const TOLD = `c.state < ${CLASS_SIZE} AND c.unit <> 0`;

/** The ends over a group of them. */
export function endsOf(name: string): string {
  const success = `CASE ${name}.state WHEN ${SUCCESS} THEN ${name}.start END`;
  const ends = [`min(${name}.start)`, `max(${name}.start)`, `min(${success})`, `max(${success})`];
  return ends.map((end, n) => `${end} AS ${END_COLUMNS[n]!}`).join(', ');
}

/** Tells of runs that are not told of yet: `source` is what follows FROM, with `narrow_runs` under the name `c`. */
export function spanStatements(source: string, where = 'true'): string[] {
  return EACH_ACTION.map(({ action, rows }) => {
    const columns = [action, ...UNIT_COLUMNS.map((column) => `c.${column}`)];
    return `INSERT INTO unit_spans (${SPAN_COLUMNS.join(', ')}) SELECT ${columns.join(', ')}, ${endsOf('c')}
      FROM ${source} WHERE ${TOLD} AND ${rows} AND ${where} GROUP BY ${columns.map((_, n) => n + 1).join(', ')} ${WIDEN}`;
  });
}

const KEY = ['action', 'place', 'block', 'release', 'unit'] as const;

/** An end that is not known yet is null, and any other one is beyond it. */
const beyond = (column: string, order: '<' | '>'): string =>
  `${column} = CASE WHEN excluded.${column} IS NULL OR excluded.${column} ${order === '<' ? '>' : '<'}= unit_spans.${column}
    THEN unit_spans.${column} ELSE excluded.${column} END`;

export const WIDEN = `ON CONFLICT (${KEY.join(', ')}) DO UPDATE SET ${beyond('first_run', '<')}, ${beyond('last_run', '>')},
  ${beyond('first_success', '<')}, ${beyond('last_success', '>')}`;

/** What a column of the key is called where a statement has it. */
type Key = (column: (typeof KEY)[number]) => string;

/** The first or the last start of a unit under an action, by the index. */
function end(order: 'ASC' | 'DESC', states: readonly number[], key: Key): string {
  const one = (state: number): string =>
    `(SELECT c.start FROM narrow_runs c WHERE c.unit = ${key('unit')} AND c.state = ${state}
       AND (${key('action')} = 0 OR c.action = ${key('action')}) ORDER BY c.start ${order} LIMIT 1)`;
  if (states.length === 1) return one(states[0]!);
  const each = states.map((state) => `SELECT ${one(state)} AS start`).join(' UNION ALL ');
  return `(SELECT ${order === 'ASC' ? 'min' : 'max'}(start) FROM (${each}) AS each_state)`;
} // prettier-ignore

/** Looks again at when the runs of a unit began, after one of them is gone or is another one now; the row goes with the last. */
export function narrowStatements(key: Key): string[] {
  const where = KEY.map((column) => `unit_spans.${column} = ${key(column)}`).join(' AND ');
  return [
    `UPDATE unit_spans SET first_run = coalesce(${end('ASC', STATES, key)}, ${NONE}), last_run = coalesce(${end('DESC', STATES, key)}, ${NONE}),
       first_success = ${end('ASC', [SUCCESS], key)}, last_success = ${end('DESC', [SUCCESS], key)} WHERE ${where}`,
    `DELETE FROM unit_spans WHERE ${where} AND first_run = ${NONE}`,
  ];
} // prettier-ignore

/** Later than any time that there is. */
const NONE = 9e15;

/** What a stored run tells of its unit. */
export interface Told {
  unit: number;
  action: number;
  state: number;
  start: number;
}

export function isTold({ unit, state }: Told): boolean {
  return unit !== 0 && state < CLASS_SIZE;
}

/** Whether something that was told of a run is not true any more, so that the ends may lie elsewhere. */
export function isWithdrawn(old: Told, now: Told | null): boolean {
  if (!isTold(old)) return false;
  if (!now || !isTold(now)) return true;
  if (old.unit !== now.unit || old.action !== now.action || old.start !== now.start) return true;
  return old.state === SUCCESS && now.state !== SUCCESS;
}
