import { AppError, codeOf } from '../../shared/errors.ts';
import type { Query } from './database.ts';
import { TABLES } from './migration-1.ts';
import { FUNCTIONS } from './migration-1-functions.ts';
import { MIRROR_FUNCTIONS, MIRROR_TABLES } from './migration-1-mirror.ts';
import { OUTBOX_FUNCTIONS, OUTBOX_TABLE } from './migration-1-outbox.ts';
import { QUESTION_FUNCTIONS } from './migration-1-questions.ts';
import { TRAIL_FUNCTIONS, TRAIL_TABLES } from './migration-1-trail.ts';
import { HOUSE } from './migration-1-house.ts';
import { QUOTA_FUNCTIONS, QUOTA_TABLE } from './migration-1-quota.ts';
import { UNTOLD_FUNCTIONS, UNTOLD_TABLE } from './migration-1-untold.ts';
import { RUNNERS } from './migration-1-runners.ts';
import { WEBHOOKS } from './migration-1-webhooks.ts';
import { UPKEEP } from './migration-1-upkeep.ts';

/** In order, each applied once and only adding: an older program goes on reading and ending its runs. */
const MIGRATIONS = [
  [
    ...[TABLES, TRAIL_TABLES, UNTOLD_TABLE, QUOTA_TABLE, OUTBOX_TABLE, MIRROR_TABLES, QUESTION_FUNCTIONS],
    ...[FUNCTIONS, TRAIL_FUNCTIONS, UNTOLD_FUNCTIONS, QUOTA_FUNCTIONS, OUTBOX_FUNCTIONS],
    ...[UPKEEP, HOUSE, WEBHOOKS, MIRROR_FUNCTIONS, RUNNERS],
  ].join(''),
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Two texts as one lock number: no other program takes this one by accident. */
const MIGRATION_LOCK = "hashtextextended('polycrate-mcp migration ' || current_schema(), 0)";
/** Another replica may be at it. */
const PATIENCE = '120s';

/** Creates what is missing, inside one transaction of `query`; answers the version that is there then. */
export async function migrate(query: Query): Promise<number> {
  const found = await versionOf(query);
  if (found >= SCHEMA_VERSION) return found;
  try {
    await query('BEGIN');
    await query(`SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $1, true)`, [PATIENCE]);
    await query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`);
    const now = await versionOf(query);
    if (now < SCHEMA_VERSION) await applyFrom(query, now);
    await query('COMMIT');
    return Math.max(now, SCHEMA_VERSION);
  } catch (error) {
    await query('ROLLBACK').catch(() => undefined);
    if (codeOf(error) === '42501') throw notOurs(found);
    throw error;
  }
} // prettier-ignore

async function applyFrom(query: Query, version: number): Promise<void> {
  // Functions remember this path, so that no temporary table can stand in for one of ours.
  await query(`SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)`);
  await query(
    `CREATE TABLE IF NOT EXISTS ledger_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  for (let next = version; next < SCHEMA_VERSION; next++) {
    await query(MIGRATIONS[next]!);
    await query('INSERT INTO ledger_schema (version) VALUES ($1)', [next + 1]);
  }
}

/** 0: there is no ledger in this schema of the database. */
export async function versionOf(query: Query): Promise<number> {
  // A look at the rows of the catalogue: to_regclass may answer from a cache that is older than the lock we hold.
  const [there] = await query(
    "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = 'ledger_schema'",
  );
  if (!there) return 0;
  const [row] = await query<{ version: number | null }>('SELECT max(version) AS version FROM ledger_schema');
  return row?.version ?? 0;
}

function notOurs(found: number): AppError {
  const what =
    found === 0
      ? 'the database has no ledger yet'
      : `the ledger has schema ${found}, this version needs ${SCHEMA_VERSION}`;
  return new AppError('ledger_unavailable', `${what}, and this role may not create tables`, {
    next: "let the tables' owner connect once: POLYCRATE_MCP_DATABASE_URL with its name, then `polycrate-mcp doctor`",
  });
}

/** Why this version must not launch; null: it may. */
export function problemOf(schema: number): string | null {
  if (schema <= SCHEMA_VERSION) return null;
  return `the ledger has schema ${schema}, this version knows ${SCHEMA_VERSION}: reading works, launching needs a newer polycrate-mcp`;
}
