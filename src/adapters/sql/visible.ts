import type { Scope } from '../../access/identity.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { page, type Found, type PageQuery } from './page.ts';
import { ask, list, type Dialect, type Steps } from './steps.ts';
import { resolve, type Where } from './where.ts';

// What is asked about all runs is asked about those that exist for a scope. Without one, indexes answer.

/** All runs that a scope sees. */
export function visible(dialect: Dialect, scope: Scope): Steps<Where> {
  return resolve({ span: { since: null, until: null }, time_field: 'started' }, dialect, scope);
}

function* first(where: Where, order: PageQuery['order']): Steps<Found | null> {
  const [found] = yield* page({ order, limit: 1, after: null }, where);
  return found ?? null;
}

const NEWEST = "SELECT at FROM events WHERE run_id <> '' ORDER BY seq DESC LIMIT 1";

/** When something was last told of a run; with a scope, of the last of its runs. */
export function* newestAt(dialect: Dialect, scope: Scope): Steps<number | null> {
  if (scope === null) {
    const [newest] = yield* ask<{ at: number }>(NEWEST);
    return newest?.at ?? null;
  }
  const last = yield* first(yield* visible(dialect, scope), 'newest');
  if (!last) return null;
  const { finished_at, started_at, requested_at } = JSON.parse(last.record) as ActionRun;
  return finished_at ?? started_at ?? requested_at;
}

/** When the first and the last of all runs began. */
export function* extent(dialect: Dialect, scope: Scope): Steps<{ oldest: number; newest: number } | null> {
  if (scope !== null) {
    const where = yield* visible(dialect, scope);
    const [oldest, newest] = [yield* first(where, 'oldest'), yield* first(where, 'newest')];
    return oldest && newest && { oldest: oldest.value, newest: newest.value };
  }
  const [row] = yield* ask<{ oldest: number | null; newest: number | null }>(
    // Apart, so that each is one look into the index.
    'SELECT (SELECT min(start) FROM narrow_runs) AS oldest, (SELECT max(start) FROM narrow_runs) AS newest',
  );
  const { oldest, newest } = row!;
  return oldest === null || newest === null ? null : { oldest, newest };
}

/** Ids that start with the prefix, newest first. */
export function* ids(
  prefix: string,
  { limit, dialect, scope }: { limit: number; dialect: Dialect; scope: Scope },
): Steps<string[]> {
  const beginning = [dialect.spell(prefix), `${dialect.spell(prefix)}~`];
  if (scope === null) {
    const rows = yield* ask<{ id: string }>(
      `SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ${list([limit])}`,
      beginning,
    );
    return rows.map(({ id }) => id);
  }
  const where = yield* visible(dialect, scope);
  const clauses = prefix === '' ? [] : [{ text: 'r.id >= ? AND r.id < ?', values: beginning }];
  const found = yield* page({ order: 'newest', limit, after: null }, { ...where, clauses });
  return found.slice(0, limit).map(({ id }) => id);
}

/** Ids of the runs that were started again from this one, oldest first. */
export function* retriggersOf(
  run_id: string,
  { limit, dialect, scope }: { limit: number; dialect: Dialect; scope: Scope },
): Steps<string[]> {
  const places = scope && (yield* visible(dialect, scope)).columns.get('place')!;
  if (places?.length === 0) return [];
  const seen = places
    ? `AND EXISTS (SELECT 1 FROM narrow_runs c WHERE c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n
       AND c.place IN (${list(places)}))`
    : '';
  const rows = yield* ask<{ id: string }>(
    `SELECT r.id AS id FROM runs r WHERE r.retrigger_of = ? ${seen} ORDER BY r.id LIMIT ${list([limit])}`,
    [dialect.spell(run_id)],
  );
  return rows.map(({ id }) => id);
}
