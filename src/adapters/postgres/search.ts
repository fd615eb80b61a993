import type { Scope } from '../../access/identity.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import type { RunHistory } from '../../history/search.ts';
import { around } from '../sql/around.ts';
import { search } from '../sql/search.ts';
import type { Dialect, Steps } from '../sql/steps.ts';
import { summarize } from '../sql/summarize.ts';
import { missing, names } from '../sql/terms.ts';
import { trace } from '../sql/trace.ts';
import { extent, ids, retriggersOf } from '../sql/visible.ts';
import type { Database } from './database.ts';
import { plain } from './plain-text.ts';
import { walkWith } from './walk.ts';

const DIALECT: Dialect = {
  position: 'strpos',
  spell: plain,
  apart: 'OFFSET 0',
  numbers: {
    gathered: (column) => `CAST(array_agg(${column}) AS text)`,
    bound: 'SELECT unnest(CAST(? AS bigint[]))',
  },
};

export function createHistory({ read, snapshot }: Pick<Database, 'read' | 'snapshot'>): RunHistory {
  const walk = <T>(steps: () => Steps<T>): Promise<T> => snapshot((query) => walkWith(query, steps()));
  // What one statement answers needs no view of its own.
  const one = <T>(scope: Scope, steps: () => Steps<T>): Promise<T> => (scope ? walk(steps) : walkWith(read, steps()));
  const dialect = DIALECT;
  return {
    async search(query, scope = null) {
      const { records, ...page } = await walk(() => search(query, dialect, scope));
      return { ...page, runs: records.map((record) => JSON.parse(record) as ActionRun) };
    },
    summarize: (query, scope = null) => walk(() => summarize(query, dialect, scope)),
    trace: (query, scope = null) => walk(() => trace(query, dialect, scope)),
    around: (query, scope = null) => walk(() => around(query, dialect, scope)),
    extent: (scope = null) => walk(() => extent(dialect, scope)),
    names: (column, limit, scope = null) => walk(() => names(column, { limit, dialect, scope })),
    missing: (wanted, scope = null) => walk(() => missing(wanted, { dialect, scope })),
    retriggersOf: (run_id, limit, scope = null) => one(scope, () => retriggersOf(run_id, { limit, dialect, scope })),
    ids: (prefix, limit, scope = null) => one(scope, () => ids(prefix, { limit, dialect, scope })),
  };
} // prettier-ignore
