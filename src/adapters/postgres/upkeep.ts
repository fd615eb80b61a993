import { AppError, codeOf } from '../../shared/errors.ts';
import { tombstoneOf } from '../../ledger/erase.ts';
import type { Cleaning, LedgerUpkeep, OnUpkeep } from '../../ledger/upkeep.ts';
import type { Database, Query } from './database.ts';
import { erase, survey } from './erase.ts';
import { planPrune, prune, readPruned } from './prune.ts';
import { unavailable } from './failures.ts';

const SILENT = (): void => undefined;

/** Taking things out of the ledger, for the role for upkeep or the tables' owner. */
export function createUpkeep(db: Database): LedgerUpkeep {
  const alone = <T>(use: (query: Query) => Promise<T>): Promise<T> =>
    db.alone(use).catch((error: unknown) => {
      throw codeOf(error) === '42501' ? notAllowed() : unavailable(error, db.location);
    });
  return {
    isErased: (name) => isErased(db.read, name),
    survey: (request, onProgress = SILENT) => alone((query) => survey(query, request, onProgress)),
    erase: (request, onProgress = SILENT) => alone((query) => erase(query, request, onProgress)),
    planPrune: (before, onProgress = SILENT) => alone((query) => planPrune(query, before, onProgress)),
    prune: (request, onProgress = SILENT) => alone((query) => prune(query, request, onProgress)),
    pruned: async () => (await readPruned(db.read)).pruning,
    clean: (after, onProgress = SILENT) => alone((query) => clean(query, TABLES[after], onProgress)),
  };
}

export async function ledgerKey(query: Query): Promise<Uint8Array> {
  const [row] = await query<{ key: Buffer }>('SELECT key FROM ledger_key');
  return row!.key;
}

async function isErased(query: Query, name: string): Promise<boolean> {
  const tombstone = tombstoneOf(name, await ledgerKey(query));
  const rows = await query(
    `SELECT 1 FROM events, json_array_elements_text(facts::json->'tombstones') AS tombstone
     WHERE kind IN ('person_erased', 'ledger_pruned') AND tombstone = $1 LIMIT 1`,
    [tombstone],
  );
  return rows.length > 0;
}

const ERASING = [
  'event_private',
  'mirrored',
  'runs',
  'run_people',
  'requests',
  'calls',
  'terms',
  'narrow_runs',
  'unit_spans',
];
const TABLES = { erasing: ERASING, pruning: [...ERASING, 'events', 'run_aliases', 'rollups', 'run_counts'] };

/** Tables that lost something are written anew; what the server keeps elsewhere is told. */
async function clean(query: Query, tables: readonly string[], onProgress: OnUpkeep): Promise<Cleaning> {
  await query("SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '60s', false)");
  for (const [done, table] of tables.entries()) {
    onProgress({ step: 'cleaning', done, total: tables.length });
    await query('SELECT ledger_compact($1)', [table]);
  }
  return {
    done: true,
    remains: [
      'The write-ahead log of the database holds what was written before until it is recycled; its archive, replicas that lag, backups and dumps hold what they held.',
      'A transaction that was open meanwhile (a dump, for example) keeps old versions of rows in the tables: if there was one, do this again.',
    ],
  };
}

function notAllowed(): AppError {
  return new AppError(
    'refused',
    'this role of the database may not take anything out of the ledger: nothing was changed',
    {
      next: 'connect as polycrate_upkeep (manifests/postgres/roles.sql) or as the tables’ owner',
    },
  );
}
