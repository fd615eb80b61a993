import type { ActionRun } from '../../runs/action-run.ts';
import type { Scope } from '../../access/identity.ts';
import { COMMON, type Around, type Change, type ChangesPage, type Common } from '../../history/changes.ts';
import { going } from './going.ts';
import { CLASS_SIZE, OPEN_STATES } from './narrow.ts';
import type { Ground } from './units.ts';
import { previousOf } from './previous.ts';
import { tallyOf } from './search.ts';
import { newestAt } from './visible.ts';
import { ask, list, type Dialect, type Steps } from './steps.ts';
import { conditionsOf, resolve, type Where } from './where.ts';

/** How much each of them counts: the same workspace and block outweigh a host, and that an organization. */
const WEIGHTS: Record<Common, number> = { workspace: 8, host: 5, block: 4, organization: 1 };

export function* around(query: Around, dialect: Dialect, scope: Scope): Steps<ChangesPage> {
  const { environment, skip, limit } = query;
  const any = { span: { since: null, until: null }, time_field: 'started' as const };
  const where = yield* resolve({ ...any, ...(environment && { environment }) }, dialect, scope);
  const source = where.possible ? yield* sourceOf(query, where) : NOTHING;
  const common = yield* commonOf(query.near, dialect, scope);
  const tier = COMMON.map((name) => `${WEIGHTS[name]} * (${common[name]})`).join(' + ');
  const at = list([query.at]);
  const distance = `CASE WHEN c.start > ${at} THEN c.start - ${at} WHEN c.finished_at <= ${at} THEN c.finished_at - ${at}
    WHEN c.finished_at IS NULL AND c.state NOT IN (${OPEN_STATES}) THEN c.start - ${at} ELSE 0 END`;
  const rows = yield* ask<Row>(
    `SELECT c.n AS n, c.start AS start, c.place AS place, c.block AS block, ${COMMON.map((name) => `${common[name]} AS same_${name}`).join(', ')},
       ${distance} AS distance
     FROM (${source}) AS c WHERE c.state < ${CLASS_SIZE}
     ORDER BY ${tier} DESC, abs(${distance}),
       c.start DESC, c.n DESC LIMIT ${list([limit])} OFFSET ${list([skip])}`,
  );
  const counts = yield* ask<{ state: number; inside: number; runs: number }>(
    `SELECT c.state AS state, CASE WHEN ${tier} > 0 THEN 1 ELSE 0 END AS inside, count(*) AS runs FROM (${source}) AS c GROUP BY 1, 2`,
  );
  const { counted: total, ...excluded } = tallyOf(counts);
  const { counted: in_scope } = tallyOf(counts.filter(({ inside }) => inside === 1));
  const end = skip + rows.length;
  return {
    changes: yield* changesOf(rows),
    total,
    in_scope,
    next: end < total ? end : null,
    excluded,
    newest_at: yield* newestAt(dialect, scope),
  };
} // prettier-ignore

const COLUMNS = 'start, n, organization, place, block, host, state, finished_at';
const NOTHING = `SELECT ${COLUMNS} FROM narrow_runs WHERE start < start`;

/** Runs that began in the window, and those from before that were going on when it began. */
function* sourceOf({ since, until }: Around, where: Where): Steps<string> {
  const { text } = conditionsOf(where);
  const began = `c.start >= ${list([since])} AND c.start < ${list([until])}`;
  const pieces = [began, ...(yield* going(since))];
  return pieces
    .map((piece) => `SELECT ${COLUMNS} FROM narrow_runs c WHERE ${piece}${text}`)
    .join(' UNION ALL ');
}

/** For each kind an expression that is 1 or 0. */
function* commonOf(near: Around['near'], dialect: Dialect, scope: Scope): Steps<Record<Common, string>> {
  const any = { span: { since: null, until: null }, time_field: 'started' as const };
  const { workspace, organization, block, host } = near;
  const numbers = {
    workspace: workspace && (yield* resolve({ ...any, workspace, ...(organization && { organization }) }, dialect, scope)).columns.get('place'),
    host: host && (yield* resolve({ ...any, host }, dialect, null)).columns.get('host'),
    block: block && (yield* resolve({ ...any, block }, dialect, null)).columns.get('block'),
    organization: organization && (yield* resolve({ ...any, organization }, dialect, null)).columns.get('organization'),
  };
  const columns = { workspace: 'place', host: 'host', block: 'block', organization: 'organization' };
  const entries = COMMON.map((name) => {
    const wanted = numbers[name] ?? [];
    return [name, wanted.length > 0 ? `CASE WHEN c.${columns[name]} IN (${list(wanted)}) THEN 1 ELSE 0 END` : '0'];
  });
  return Object.fromEntries(entries) as Record<Common, string>;
} // prettier-ignore

interface Row extends Ground, Record<`same_${Common}`, number> {
  n: number;
  start: number;
  distance: number;
}

function* changesOf(rows: readonly Row[]): Steps<Change[]> {
  if (rows.length === 0) return [];
  const records = yield* ask<{ n: number; record: string }>(
    `SELECT n, record FROM runs WHERE n IN (${list(rows.map(({ n }) => n))})`,
  );
  const byNumber = new Map(records.map(({ n, record }) => [n, JSON.parse(record) as ActionRun]));
  const runs = rows.map(({ n }) => byNumber.get(n)!);
  const previous = yield* previousOf(rows);
  return rows.map((row, n) => ({
    run: runs[n]!,
    same: COMMON.filter((name) => row[`same_${name}`] === 1),
    distance_ms: row.distance,
    previous: previous[n]!,
  }));
}
