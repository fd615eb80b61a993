import type { Database } from 'better-sqlite3';
import type { ActionRun } from '../../runs/action-run.ts';
import type { NameColumn, RunFilters, RunOrder, RunPage, RunQuery, TimeSpan } from '../../history/search.ts';

type Value = string | number;

/** A WHERE clause in the making: text of our own, every value bound. */
interface Where {
  clauses: string[];
  values: Value[];
}

const SORT: Record<RunOrder, { column: string; direction: 'ASC' | 'DESC' }> = {
  newest: { column: 'coalesce(started_at, requested_at)', direction: 'DESC' },
  oldest: { column: 'coalesce(started_at, requested_at)', direction: 'ASC' },
  longest: { column: 'coalesce(duration_ms, 0)', direction: 'DESC' },
};

/** History counts launched runs of kind `action`; the rest is counted apart (design.md section 3). */
const COUNTED = "launched = 1 AND kind = 'action'";

export interface SyncHistory {
  search(query: RunQuery): RunPage;
  names(column: NameColumn, limit: number): string[];
  retriggersOf(run_id: string, limit: number): string[];
  ids(prefix: string, limit: number): string[];
}

export function createSyncHistory(db: Database): SyncHistory {
  return {
    search: (query) => search(db, query),
    names: (column, limit) => names(db, column, limit),
    retriggersOf: (run_id, limit) =>
      db
        .prepare('SELECT id FROM runs WHERE retrigger_of = ? ORDER BY id LIMIT ?')
        .pluck()
        .all(run_id, limit) as string[],
    ids: (prefix, limit) =>
      db
        .prepare('SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?')
        .pluck()
        .all(prefix, `${prefix}~`, limit) as string[],
  };
}

function search(db: Database, query: RunQuery): RunPage {
  const where = filterClauses(query.filters);
  const counts = db
    .prepare(
      `SELECT count(*) AS matching, coalesce(sum(${COUNTED}), 0) AS counted,
              coalesce(sum(kind = 'workflow'), 0) AS workflow_parents FROM runs ${text(where)}`,
    )
    .get(where.values) as { matching: number; counted: number; workflow_parents: number };
  const { runs, next } = page(db, query, where);
  return {
    runs,
    total: query.include_excluded ? counts.matching : counts.counted,
    next,
    excluded: {
      never_launched: counts.matching - counts.counted - counts.workflow_parents,
      workflow_parents: counts.workflow_parents,
    },
  };
}

function page(db: Database, query: RunQuery, filters: Where): Pick<RunPage, 'runs' | 'next'> {
  const { column, direction } = SORT[query.order];
  const where: Where = { clauses: [...filters.clauses], values: [...filters.values] };
  if (!query.include_excluded) where.clauses.push(COUNTED);
  if (query.after) {
    const beyond = direction === 'DESC' ? '<' : '>';
    where.clauses.push(`(${column} ${beyond} ? OR (${column} = ? AND id ${beyond} ?))`);
    where.values.push(query.after.value, query.after.value, query.after.id);
  }
  const rows = db
    .prepare(
      `SELECT record, ${column} AS value, id FROM runs ${text(where)}
       ORDER BY ${column} ${direction}, id ${direction} LIMIT ?`,
    )
    .all([...where.values, query.limit + 1]) as { record: string; value: number; id: string }[];
  const shown = rows.slice(0, query.limit);
  const last = shown.at(-1);
  return {
    runs: shown.map((row) => JSON.parse(row.record) as ActionRun),
    next: rows.length > query.limit && last ? { value: last.value, id: last.id } : null,
  };
}

function text({ clauses }: Where): string {
  return clauses.length === 0 ? '' : `WHERE ${clauses.join(' AND ')}`;
}

function filterClauses(filters: RunFilters): Where {
  const where: Where = { clauses: [], values: [] };
  const among = (column: string, values: readonly Value[] | undefined): void => {
    if (!values) return;
    where.clauses.push(`${column} IN (${values.map(() => '?').join(', ')})`);
    where.values.push(...values);
  };
  among('organization', filters.organization);
  among('environment', filters.environment);
  among('block', filters.block);
  among('action', filters.action);
  among('status', filters.status);
  among('exit_code', filters.exit_code);
  among('host', filters.host);
  addWorkspace(where, filters.workspace);
  if (filters.client) among('client', [filters.client]);
  if (filters.source) among('source', [filters.source]);
  if (filters.block_version !== undefined) {
    where.clauses.push('(block_version = ? OR app_version = ?)');
    where.values.push(filters.block_version, filters.block_version);
  }
  if (filters.user) {
    where.clauses.push(
      `id IN (SELECT run_id FROM run_people WHERE name IN (${filters.user.map(() => '?').join(', ')}))`,
    );
    where.values.push(...filters.user.map((user) => user.toLowerCase()));
  }
  addOrigin(where, filters.from);
  addText(where, filters.text);
  addSpan(where, filters);
  return where;
}

/** The organization's part of an address may hold no slash but a name may, so addresses are put together. */
const ADDRESS = "coalesce(organization, '-') || '/' || workspace";

function addWorkspace(where: Where, workspaces: readonly string[] | undefined): void {
  if (!workspaces) return;
  const marks = workspaces.map(() => '?').join(', ');
  where.clauses.push(`(workspace IN (${marks}) OR ${ADDRESS} IN (${marks}))`);
  where.values.push(...workspaces, ...workspaces);
}

/** A `from` reference matches with or without its registry host and with or without its version. */
function addOrigin(where: Where, from: string | undefined): void {
  if (from === undefined) return;
  const versioned = /:[^/]*$/.test(from);
  const like = escapeLike(from);
  const shapes = versioned ? [like, `%/${like}`] : [like, `${like}:%`, `%/${like}`, `%/${like}:%`];
  where.clauses.push(`(${shapes.map(() => "block_from LIKE ? ESCAPE '\\'").join(' OR ')})`);
  where.values.push(...shapes);
}

function addText(where: Where, words: string | undefined): void {
  if (words === undefined) return;
  const columns = ['reason', 'block', 'action', 'workspace', 'status_reason'];
  where.clauses.push(`(${columns.map((column) => `${column} LIKE ? ESCAPE '\\'`).join(' OR ')})`);
  where.values.push(...columns.map(() => `%${escapeLike(words)}%`));
}

function escapeLike(value: string): string {
  return value.replace(/[\\%_]/g, (character) => `\\${character}`);
}

/** Half-open spans. `overlaps`: the run was going on at some instant of the span; open runs have no end yet. */
function addSpan(where: Where, { span, time_field }: RunFilters): void {
  const bound = ({ since, until }: TimeSpan, from: string, to: string): void => {
    if (since !== null) {
      where.clauses.push(from);
      where.values.push(since);
    }
    if (until !== null) {
      where.clauses.push(to);
      where.values.push(until);
    }
  };
  switch (time_field) {
    case 'started':
      // Runs that never started are placed by their request, so that they are counted as excluded.
      return bound(span, 'coalesce(started_at, requested_at) >= ?', 'coalesce(started_at, requested_at) < ?');
    case 'finished':
      return bound(span, 'finished_at >= ?', 'finished_at < ?');
    case 'recorded':
      return bound(span, 'requested_at >= ?', 'requested_at < ?');
    case 'overlaps':
      return bound(
        span,
        '(finished_at IS NULL OR finished_at > ?)',
        'coalesce(started_at, requested_at) < ?',
      );
  }
}

const NAMES: Record<NameColumn, string> = {
  organization: distinct('organization'),
  workspace: distinct('workspace'),
  address: `SELECT DISTINCT ${ADDRESS} AS value FROM runs`,
  environment: distinct('environment'),
  block: distinct('block'),
  // The filter takes either.
  block_version: `${distinct('block_version')} UNION ${distinct('app_version')}`,
  action: distinct('action'),
  user: 'SELECT DISTINCT name AS value FROM run_people',
  host: distinct('host'),
  client: distinct('client'),
};

function distinct(column: string): string {
  return `SELECT DISTINCT ${column} AS value FROM runs WHERE ${column} IS NOT NULL`;
}

function names(db: Database, column: NameColumn, limit: number): string[] {
  return db.prepare(`${NAMES[column]} ORDER BY value LIMIT ?`).pluck().all(limit) as string[];
}
