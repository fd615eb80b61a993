import type { WebhookQueue } from '../../ledger/webhook-queue.ts';
import type { RunHistory } from '../../history/search.ts';
import type { LedgerArchive } from '../../ledger/archive.ts';
import type { HouseEvents } from '../../ledger/house-events.ts';
import type { Trail } from '../../history/trail.ts';
import type { RunnerExchange } from '../../runners/exchange.ts';
import type { RunLeases, RunLedger } from '../../runs/run-ledger.ts';
import type { Outbox } from '../../runs/outbox.ts';
import type { UntoldRuns } from '../../runs/untold.ts';
import { createWithdrawals } from '../../runs/withdrawals.ts';
import type { LedgerUpkeep } from '../../ledger/upkeep.ts';
import type { LedgerCheck } from '../../ledger/verify.ts';
import type { Log } from '../../shared/ports.ts';
import { AppError } from '../../shared/errors.ts';
import { createArchive } from './archive.ts';
import { verify } from './check.ts';
import { createDatabase, type Database, type DatabaseOptions } from './database.ts';
import { unavailable } from './failures.ts';
import { createExchange } from './exchange.ts';
import { createHouseEvents } from './house-events.ts';
import { createLeases } from './leases.ts';
import { createLedger } from './ledger.ts';
import type { Mirror } from '../../ledger/mirror.ts';
import { createMirror } from './mirror.ts';
import { createNotes } from './notes.ts';
import { createOutbox } from './outbox.ts';
import { migrate, versionOf } from './schema.ts';
import { createHistory } from './search.ts';
import { createUntold } from './untold.ts';
import { createUpkeep } from './upkeep.ts';
import { createTrail } from './trail.ts';
import { createWatch, type Watch } from './watch.ts';
import { createWebhookQueue } from './webhooks.ts';

/** A database whose tables are there. */
export interface OpenLedger {
  ledger: RunLedger;
  leases: RunLeases;
  untold: UntoldRuns;
  outbox: Outbox;
  history: RunHistory;
  trail: Trail;
  mirror: Mirror;
  check: LedgerCheck;
  upkeep: LedgerUpkeep;
  archive: LedgerArchive;
  house: HouseEvents;
  webhooks: WebhookQueue;
  exchange: RunnerExchange;
  watch: Watch;
  close(): Promise<void>;
}

export interface OpenOptions extends DatabaseOptions {
  /** False: a database without a ledger is refused. */
  create: boolean;
}

/** Connects, looks at the server, creates what is missing. Throws `ledger_unavailable` with what helps. */
export async function openLedger(options: OpenOptions): Promise<OpenLedger> {
  const { log, create } = options;
  const db = await createDatabase(options);
  try {
    await db.alone(async (query) => {
      await inspect(query, log);
      if (!create && (await versionOf(query)) === 0) throw absent(db.location);
      await migrate(query);
    });
  } catch (error) {
    await db.close();
    throw unavailable(error, db.location);
  }
  const withdrawals = createWithdrawals((token) => db.write('SELECT ledger_withdraw($1)', [token]), log);
  const watch = createWatch(db, log);
  // Connects only where there are runners.
  const calls = createWatch(db, log, 'ledger_calls_channel');
  return {
    ledger: createLedger(db, withdrawals),
    leases: createLeases(db, withdrawals),
    untold: createUntold(db),
    outbox: createOutbox(db),
    history: createHistory(db),
    trail: createTrail(db),
    mirror: createMirror(db),
    check: createCheck(db),
    upkeep: createUpkeep(db),
    archive: createArchive(db),
    house: createHouseEvents(db),
    webhooks: createWebhookQueue(db),
    exchange: createExchange(db, calls),
    watch,
    async close() {
      withdrawals.close();
      await Promise.all([watch.close(), calls.close()]);
      await db.close();
    },
  };
}

function createCheck(db: Database): LedgerCheck {
  const { ledgerId, notes, note, claim } = createNotes(db);
  return {
    verify: (task, onProgress = () => undefined) =>
      verify(db, task, onProgress).catch((error: unknown) => {
        throw unavailable(error, db.location);
      }),
    id: ledgerId,
    notes,
    note,
    claim,
  };
}

/** Opening would create an empty ledger, which would then be found to be in order. */
function absent(location: string): AppError {
  return new AppError('ledger_unavailable', `there is no ledger in ${location}`, {
    next: 'name its database with POLYCRATE_MCP_DATABASE_URL',
  });
}

async function inspect(query: Parameters<Parameters<Database['alone']>[0]>[0], log: Log): Promise<void> {
  const [server] = await query<{ encoding: string; fsync: string; version: number }>(
    `SELECT current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync,
       current_setting('server_version_num')::integer AS version`,
  );
  const { encoding, fsync, version } = server!;
  if (version < 130_000) {
    throw new AppError('ledger_unavailable', 'the ledger needs PostgreSQL 13 or newer');
  }
  if (encoding !== 'UTF8') {
    throw new AppError('ledger_unavailable', `the database has the encoding ${encoding}, the ledger needs UTF8`, {
      next: "create it with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
    });
  }
  if (fsync !== 'on') log('warn', 'the database runs with fsync off: a power loss can take records with it');
} // prettier-ignore
