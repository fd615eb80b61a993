import type { Database } from 'better-sqlite3';
import type { Scope } from '../../access/identity.ts';
import type { NameColumn, NamedThing, RunQuery } from '../../history/search.ts';
import type { Around, ChangesPage } from '../../history/changes.ts';
import type { SummaryPage, SummaryQuery } from '../../history/summary.ts';
import type { TracePage, TraceQuery } from '../../history/versions.ts';
import { around } from '../sql/around.ts';
import { search, type FoundPage } from '../sql/search.ts';
import type { Dialect, Steps } from '../sql/steps.ts';
import { summarize } from '../sql/summarize.ts';
import { missing, names } from '../sql/terms.ts';
import { trace } from '../sql/trace.ts';
import { extent, ids, retriggersOf } from '../sql/visible.ts';
import { storable } from './storable.ts';
import { createStatements } from './statements.ts';
import { walk } from './walk.ts';

const DIALECT: Dialect = {
  position: 'instr',
  spell: storable,
  apart: '',
  numbers: { gathered: (column) => `json_group_array(${column})`, bound: 'SELECT value FROM json_each(?)' },
};

export interface SyncHistory {
  search(query: RunQuery, scope: Scope): FoundPage;
  summarize(query: SummaryQuery, scope: Scope): SummaryPage;
  trace(query: TraceQuery, scope: Scope): TracePage;
  around(query: Around, scope: Scope): ChangesPage;
  extent(scope: Scope): { oldest: number; newest: number } | null;
  names(column: NameColumn, limit: number, scope: Scope): string[];
  missing(wanted: readonly NamedThing[], scope: Scope): NamedThing[];
  retriggersOf(run_id: string, limit: number, scope: Scope): string[];
  ids(prefix: string, limit: number, scope: Scope): string[];
}

export function createSyncHistory(db: Database): SyncHistory {
  const statements = createStatements(db);
  // One view of the ledger for all statements of an answer, whatever is written meanwhile.
  const inOneView = db.transaction((steps: Steps<unknown>) => walk(db, steps, statements)) as <T>(steps: Steps<T>) => T;
  const dialect = DIALECT;
  return {
    search: (query, scope) => inOneView(search(query, dialect, scope)),
    summarize: (query, scope) => inOneView(summarize(query, dialect, scope)),
    trace: (query, scope) => inOneView(trace(query, dialect, scope)),
    around: (query, scope) => inOneView(around(query, dialect, scope)),
    extent: (scope) => inOneView(extent(dialect, scope)),
    names: (column, limit, scope) => inOneView(names(column, { limit, dialect, scope })),
    missing: (wanted, scope) => inOneView(missing(wanted, { dialect, scope })),
    retriggersOf: (run_id, limit, scope) => inOneView(retriggersOf(run_id, { limit, dialect, scope })),
    ids: (prefix, limit, scope) => inOneView(ids(prefix, { limit, dialect, scope })),
  };
} // prettier-ignore
