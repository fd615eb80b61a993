import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
  type RawBuilder,
  type SqlBool,
} from 'kysely';
import type { ActionRun } from '../../runs/action-run.ts';
import type {
  NameColumn,
  NamedThing,
  RunFilters,
  RunHistory,
  RunOrder,
  RunPage,
  RunQuery,
  TimeSpan,
} from '../../history/search.ts';
import type { Database } from './database.ts';
import { fold, plain } from './plain-text.ts';

// prettier-ignore
type Condition = RawBuilder<SqlBool>;

/** Compiles statements only; they run on our own connections. */
const compiler = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

const START = sql`coalesce(started_at, requested_at)`;
const DURATION = sql`coalesce(duration_ms, 0)`;
const [ASCENDING, DESCENDING] = [sql`ASC`, sql`DESC`];
const SORT: Record<RunOrder, { value: RawBuilder<unknown>; direction: RawBuilder<unknown> }> = {
  newest: { value: START, direction: DESCENDING },
  oldest: { value: START, direction: ASCENDING },
  longest: { value: DURATION, direction: DESCENDING },
};

/** History counts launched runs of kind `action`; the rest is counted apart (design.md section 3). */
const COUNTED: Condition = sql`(launched AND kind = 'action')`;

export function createHistory({ read }: Pick<Database, 'read'>): RunHistory {
  const ask = <Row extends object>(statement: RawBuilder<unknown>): Promise<Row[]> => {
    const { sql: text, parameters } = statement.compile(compiler);
    return read<Row>(text, parameters);
  };
  return {
    search: async (query) => pageOf(await ask<PageRow>(searchStatement(query)), query.include_excluded, query.limit),
    async names(column, limit) {
      const rows = await ask<{ value: string }>(sql`${NAMES[column]} ORDER BY value LIMIT ${limit}`);
      return rows.map(({ value }) => value);
    },
    async missing(wanted) {
      if (wanted.length === 0) return [];
      const [row] = await ask<{ there: boolean[] }>(sql`SELECT ARRAY[${sql.join(wanted.map(isRecorded))}] AS there`);
      return wanted.filter((_, index) => !row!.there[index]);
    },
    retriggersOf: async (run_id, limit) =>
      idsOf(await ask(sql`SELECT id FROM runs WHERE retrigger_of = ${plain(run_id)} ORDER BY id LIMIT ${limit}`)),
    ids: async (prefix, limit) =>
      idsOf(
        await ask(
          sql`SELECT id FROM runs WHERE id >= ${plain(prefix)} AND id < ${`${plain(prefix)}~`} ORDER BY id DESC LIMIT ${limit}`,
        ),
      ),
  };
} // prettier-ignore

function idsOf(rows: readonly { id: string }[]): string[] {
  return rows.map(({ id }) => id);
}

/** Counts, beside each row of the page; one row without an id where the page is empty. */
interface PageRow {
  matching: number;
  counted: number;
  workflow_parents: number;
  newest_at: number | null;
  id: string | null;
  value: number;
  record: string;
}

/** One statement, so that totals and page are of one moment. */
function searchStatement({ filters, include_excluded, order, after, limit }: RunQuery): RawBuilder<unknown> {
  const { value, direction } = SORT[order];
  const matching = conditions(filters);
  const shown = [...matching];
  if (!include_excluded) shown.push(COUNTED);
  if (after) {
    const beyond = direction === DESCENDING ? sql`<` : sql`>`;
    shown.push(sql`(${value}, id) ${beyond} (${after.value}, ${after.id})`);
  }
  return sql`
    SELECT counts.*, page.* FROM (
      SELECT count(*) AS matching, count(*) FILTER (WHERE ${COUNTED}) AS counted,
        count(*) FILTER (WHERE kind = 'workflow') AS workflow_parents,
        (SELECT at FROM events WHERE run_id <> '' ORDER BY seq DESC LIMIT 1) AS newest_at
      FROM runs WHERE ${all(matching)}
    ) AS counts LEFT JOIN (
      SELECT record, ${value} AS value, id FROM runs WHERE ${all(shown)}
      ORDER BY ${value} ${direction}, id ${direction} LIMIT ${limit + 1}
    ) AS page ON true ORDER BY page.value ${direction}, page.id ${direction}`;
}

function pageOf(rows: readonly PageRow[], include_excluded: boolean, limit: number): RunPage {
  const { matching, counted, workflow_parents, newest_at } = rows[0]!;
  const found = rows.filter(({ id }) => id !== null);
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  return {
    runs: shown.map(({ record }) => JSON.parse(record) as ActionRun),
    total: include_excluded ? matching : counted,
    next: found.length > limit && last ? { value: last.value, id: last.id! } : null,
    excluded: { never_launched: matching - counted - workflow_parents, workflow_parents },
    newest_at,
  };
}

function all(list: readonly Condition[]): Condition {
  return list.length === 0 ? sql`true` : sql.join(list, sql` AND `);
}

function conditions(filters: RunFilters): Condition[] {
  const { block_version, user, text } = filters;
  return [
    ...among('organization', filters.organization),
    ...among('environment', filters.environment),
    ...among('block', filters.block),
    ...among('action', filters.action),
    ...among('status', filters.status),
    ...among('exit_code', filters.exit_code),
    ...among('host', filters.host),
    ...among('client', filters.client ? [filters.client] : undefined),
    ...among('source', filters.source ? [filters.source] : undefined),
    ...inWorkspace(filters.workspace),
    ...(block_version === undefined ? [] : [sql<SqlBool>`${plain(block_version)} IN (block_version, app_version)`]),
    ...(user ? [sql<SqlBool>`id IN (SELECT run_id FROM run_people WHERE name = ANY(${lowered(user)}))`] : []),
    ...madeFrom(filters.from),
    ...(text === undefined ? [] : [sql<SqlBool>`strpos(words, ${fold(text)}) > 0`]),
    ...within(filters),
  ];
} // prettier-ignore

function among(column: string, values: readonly (string | number)[] | undefined): Condition[] {
  if (!values) return [];
  const bound = values.map((value) => (typeof value === 'string' ? plain(value) : value));
  return [sql`${sql.ref(column)} = ANY(${bound})`];
}

function lowered(users: readonly string[]): string[] {
  return users.map((user) => plain(user).toLowerCase());
}

/** The organization's part of an address may hold no slash but a name may, so addresses are put together. */
const ADDRESS = sql`coalesce(organization, '-') || '/' || workspace`;

function inWorkspace(workspaces: readonly string[] | undefined): Condition[] {
  if (!workspaces) return [];
  const names = workspaces.map(plain);
  return [sql`(workspace = ANY(${names}) OR ${ADDRESS} = ANY(${names}))`];
}

/** A `from` reference matches with or without the parts before its last one and with or without its version. */
function madeFrom(from: string | undefined): Condition[] {
  if (from === undefined) return [];
  const like = plain(from).replace(/[\\%_]/g, (character) => `\\${character}`);
  const exact = [like, `%/${like}`];
  const choices: Condition[] = exact.map((shape) => sql`block_from LIKE ${shape}`);
  if (!/:[^/]*$/.test(from)) {
    // What follows a version's colon holds no slash: that would be a port.
    for (const shape of exact)
      choices.push(sql`(block_from LIKE ${`${shape}:%`} AND block_from NOT LIKE ${`${shape}:%/%`})`);
  }
  return [sql`(${sql.join(choices, sql` OR `)})`];
}

/** Half-open spans. `overlaps`: the run was going on at some instant of the span; open runs have no end yet. */
function within({ span, time_field }: RunFilters): Condition[] {
  switch (time_field) {
    case 'started':
      // Runs that never started are placed by their request, so that they are counted as excluded.
      return between(START, span);
    case 'finished':
      return between(sql`finished_at`, span);
    case 'recorded':
      return between(sql`requested_at`, span);
    case 'overlaps':
      return [
        ...(span.since === null ? [] : [sql<SqlBool>`(finished_at IS NULL OR finished_at > ${span.since})`]),
        ...between(START, { since: null, until: span.until }),
      ];
  }
}

function between(time: RawBuilder<unknown>, { since, until }: TimeSpan): Condition[] {
  return [
    ...(since === null ? [] : [sql<SqlBool>`${time} >= ${since}`]),
    ...(until === null ? [] : [sql<SqlBool>`${time} < ${until}`]),
  ];
}

const NAMES: Record<NameColumn, RawBuilder<unknown>> = {
  organization: distinct('organization'),
  workspace: distinct('workspace'),
  address: sql`SELECT DISTINCT ${ADDRESS} AS value FROM runs`,
  environment: distinct('environment'),
  block: distinct('block'),
  // The filter takes either.
  block_version: sql`${distinct('block_version')} UNION ${distinct('app_version')}`,
  action: distinct('action'),
  user: sql`SELECT DISTINCT name AS value FROM run_people`,
  host: distinct('host'),
  client: distinct('client'),
};

function isRecorded({ column, name }: NamedThing): RawBuilder<unknown> {
  if (column === 'user') return sql`EXISTS (SELECT 1 FROM run_people WHERE name = ANY(${lowered([name])}))`;
  return sql`EXISTS (SELECT 1 FROM runs WHERE ${all(named(column, name))})`;
}

function named(column: Exclude<NameColumn, 'user'>, name: string): Condition[] {
  switch (column) {
    case 'workspace':
      return inWorkspace([name]);
    case 'address':
      return [sql`${ADDRESS} = ${plain(name)}`];
    case 'block_version':
      return [sql`${plain(name)} IN (block_version, app_version)`];
    default:
      return among(column, [name]);
  }
}

function distinct(column: string): RawBuilder<unknown> {
  return sql`SELECT DISTINCT ${sql.ref(column)} AS value FROM runs WHERE ${sql.ref(column)} IS NOT NULL`;
}
