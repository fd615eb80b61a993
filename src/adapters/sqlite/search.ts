import type { Database } from 'better-sqlite3';
import type {
  NameColumn,
  NamedThing,
  RunFilters,
  RunOrder,
  RunPage,
  RunQuery,
  TimeSpan,
} from '../../history/search.ts';
import { createStatements, type Statements } from './statements.ts';

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

/** A page with its records as JSON: text crosses threads faster than objects do. */
export interface SyncPage extends Omit<RunPage, 'runs'> {
  records: string[];
}

export interface SyncHistory {
  search(query: RunQuery): SyncPage;
  names(column: NameColumn, limit: number): string[];
  missing(wanted: readonly NamedThing[]): NamedThing[];
  retriggersOf(run_id: string, limit: number): string[];
  ids(prefix: string, limit: number): string[];
}

export function createSyncHistory(db: Database): SyncHistory {
  db.function('fold', { deterministic: true }, (text: unknown) =>
    typeof text === 'string' ? text.toLowerCase() : null,
  );
  const statements = createStatements(db);
  // One view of the ledger for page and counts, whatever is written meanwhile.
  const inOneView = db.transaction((query: RunQuery) => search(statements, query));
  return {
    search: (query) => inOneView(query),
    names: (column, limit) =>
      statements(`${NAMES[column]} ORDER BY value LIMIT ?`).pluck().all(limit) as string[],
    missing: (wanted) => wanted.filter((thing) => !isRecorded(statements, thing)),
    retriggersOf: (run_id, limit) =>
      statements('SELECT id FROM runs WHERE retrigger_of = ? ORDER BY id LIMIT ?')
        .pluck()
        .all(run_id, limit) as string[],
    ids: (prefix, limit) =>
      statements('SELECT id FROM runs WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?')
        .pluck()
        .all(prefix, `${prefix}~`, limit) as string[],
  };
}

function search(statements: Statements, query: RunQuery): SyncPage {
  const where = filterClauses(query.filters);
  const matching = statements(`SELECT count(*) FROM runs ${text(where)}`)
    .pluck()
    .get(where.values) as number;
  const uncounted = statements(
    `SELECT count(*) AS runs, coalesce(sum(kind = 'workflow'), 0) AS workflow_parents
     FROM runs ${text({ ...where, clauses: [...where.clauses, `NOT (${COUNTED})`] })}`,
  ).get(where.values) as { runs: number; workflow_parents: number };
  return {
    ...page(statements, query, where),
    total: query.include_excluded ? matching : matching - uncounted.runs,
    excluded: {
      never_launched: uncounted.runs - uncounted.workflow_parents,
      workflow_parents: uncounted.workflow_parents,
    },
    newest_at: (statements(NEWEST).pluck().get() as number | undefined) ?? null,
  };
}

const NEWEST = "SELECT at FROM events WHERE run_id <> '' ORDER BY seq DESC LIMIT 1";

function page(statements: Statements, query: RunQuery, filters: Where): Pick<SyncPage, 'records' | 'next'> {
  const { column, direction } = SORT[query.order];
  const where: Where = { clauses: [...filters.clauses], values: [...filters.values] };
  if (!query.include_excluded) where.clauses.push(COUNTED);
  if (query.after) {
    const beyond = direction === 'DESC' ? '<' : '>';
    where.clauses.push(`(${column} ${beyond} ? OR (${column} = ? AND id ${beyond} ?))`);
    where.values.push(query.after.value, query.after.value, query.after.id);
  }
  const rows = statements(
    `SELECT record, ${column} AS value, id FROM runs ${text(where)}
     ORDER BY ${column} ${direction}, id ${direction} LIMIT ?`,
  ).all([...where.values, query.limit + 1]) as { record: string; value: number; id: string }[];
  const shown = rows.slice(0, query.limit);
  const last = shown.at(-1);
  return {
    records: shown.map(({ record }) => record),
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
    where.clauses.push(`${column} IN (${marks(values)})`);
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
      `EXISTS (SELECT 1 FROM run_people WHERE run_id = runs.id AND name IN (${marks(filters.user)}))`,
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
  // Only what has a slash can be an address, and putting addresses together is slow.
  const addresses = workspaces.filter((name) => name.includes('/'));
  const clauses = [`workspace IN (${marks(workspaces)})`];
  if (addresses.length > 0) clauses.push(`${ADDRESS} IN (${marks(addresses)})`);
  where.clauses.push(`(${clauses.join(' OR ')})`);
  where.values.push(...workspaces, ...addresses);
}

function marks(values: readonly Value[]): string {
  return values.map(() => '?').join(', ');
}

/** A `from` reference matches with or without the parts before its last one and with or without its version. */
function addOrigin(where: Where, from: string | undefined): void {
  if (from === undefined) return;
  const versioned = /:[^/]*$/.test(from);
  const like = escapeLike(from);
  const is = "block_from LIKE ? ESCAPE '\\'";
  const exact = [like, `%/${like}`];
  // What follows a version's colon holds no slash: that would be a port.
  const loose = versioned ? [] : exact.map((shape) => `${shape}:%`);
  where.clauses.push(
    `(${[...exact.map(() => is), ...loose.map(() => `(${is} AND NOT ${is})`)].join(' OR ')})`,
  );
  where.values.push(...exact, ...loose.flatMap((shape) => [shape, `${shape}/%`]));
}

/** SQLite's LIKE folds the case of ASCII only, so other words are compared by a function of ours. */
function addText(where: Where, words: string | undefined): void {
  if (words === undefined) return;
  const columns = ['reason', 'block', 'action', 'workspace', 'status_reason'];
  const ascii = /^[\x20-\x7e]*$/.test(words);
  const clause = (column: string): string =>
    ascii ? `${column} LIKE ? ESCAPE '\\'` : `instr(fold(${column}), ?)`;
  where.clauses.push(`(${columns.map(clause).join(' OR ')})`);
  where.values.push(...columns.map(() => (ascii ? `%${escapeLike(words)}%` : words.toLowerCase())));
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

function isRecorded(statements: Statements, { column, name }: NamedThing): boolean {
  const sql =
    column === 'user'
      ? 'SELECT 1 FROM run_people WHERE name = @name LIMIT 1'
      : `SELECT 1 FROM runs WHERE ${SAME[column]} LIMIT 1`;
  return statements(sql).get({ name: column === 'user' ? name.toLowerCase() : name }) !== undefined;
}

/** How a name of each column is looked for; the filters of `filterClauses` match the same runs. */
const SAME: Record<Exclude<NameColumn, 'user'>, string> = {
  organization: 'organization = @name',
  workspace: `(workspace = @name OR ${ADDRESS} = @name)`,
  address: `${ADDRESS} = @name`,
  environment: 'environment = @name',
  block: 'block = @name',
  block_version: '(block_version = @name OR app_version = @name)',
  action: 'action = @name',
  host: 'host = @name',
  client: 'client = @name',
};
