import type { RunPage, RunQuery } from '../../history/search.ts';
import type { Scope } from '../../access/identity.ts';
import { countRows, spanOf, type CountRow } from './counts.ts';
import { CLASS_SIZE } from './narrow.ts';
import { page } from './page.ts';
import { ask, type Dialect, type Steps } from './steps.ts';
import { newestAt } from './visible.ts';
import { conditionsOf, resolve, type Where } from './where.ts';

/** A page with its records as JSON. */
export interface FoundPage extends Omit<RunPage, 'runs'> {
  records: string[];
}

export function* search(query: RunQuery, dialect: Dialect, scope: Scope): Steps<FoundPage> {
  const where = yield* resolve(query.filters, dialect, scope);
  const rows = yield* countRows(where, { by: [], slices: [spanOf(where.span)] });
  const { counted, ...excluded } = tallyOf(rows);
  const total = query.include_excluded
    ? counted + excluded.never_launched + excluded.workflow_parents
    : counted;
  const found =
    total === 0 ? [] : yield* page(query, query.include_excluded ? where : countedOnly(where), total);
  const shown = found.slice(0, query.limit);
  const last = shown.at(-1);
  return {
    records: shown.map(({ record }) => record),
    next: found.length > query.limit && last ? { value: last.value, id: last.id } : null,
    total,
    excluded,
    possible_duplicates: yield* possibleDuplicates(where),
    newest_at: yield* newestAt(dialect, scope),
  };
}

const DUPLICATES = 'SELECT run_id FROM mirrored WHERE duplicate_of IS NOT NULL AND current = 1';

/** Counted runs that may be others that are counted, too: alike, but without an id in common. */
function* possibleDuplicates(where: Where): Steps<number> {
  if (!where.possible || (yield* ask(`${DUPLICATES} LIMIT 1`)).length === 0) return 0;
  const { text, values } = conditionsOf(countedOnly(where));
  const { since, until } = spanOf(where.span);
  const [found] = yield* ask<{ runs: number }>(
    `SELECT count(*) AS runs FROM runs r CROSS JOIN narrow_runs c
     WHERE r.id IN (${DUPLICATES}) AND c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n
       AND c.start >= ${since} AND c.start < ${until}${text}`,
    values,
  );
  return found!.runs;
}

/** History counts launched runs of kind `action`; the rest is counted apart (design.md section 3). */
export function tallyOf(rows: readonly Pick<CountRow, 'state' | 'runs'>[]): {
  counted: number;
  never_launched: number;
  workflow_parents: number;
} {
  const tally = [0, 0, 0];
  for (const { state, runs } of rows) tally[Math.floor(state / CLASS_SIZE)]! += runs;
  const [counted, never_launched, workflow_parents] = tally as [number, number, number];
  return { counted, never_launched, workflow_parents };
}

export function countedOnly(where: Where): Where {
  const states = where.states ?? Array.from({ length: CLASS_SIZE }, (_, state) => state);
  return { ...where, states: states.filter((state) => state < CLASS_SIZE) };
}
