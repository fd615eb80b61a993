import type { RunHistory } from '../../history/search.ts';
import type { RunLeases, RunLedger } from '../../runs/run-ledger.ts';
import type { LedgerCheck } from '../../runs/verify.ts';
import type { Log } from '../../shared/ports.ts';
import { AppError } from '../../shared/errors.ts';
import { verify } from './check.ts';
import { createDatabase, type Database, type DatabaseOptions } from './database.ts';
import { unavailable } from './failures.ts';
import { createLeases } from './leases.ts';
import { createLedger } from './ledger.ts';
import { createNotes } from './notes.ts';
import { migrate } from './schema.ts';
import { createHistory } from './search.ts';
import { createWatch, type Watch } from './watch.ts';
import { createWithdrawals } from './withdrawals.ts';

/** A database whose tables are there. */
export interface OpenLedger {
  ledger: RunLedger;
  leases: RunLeases;
  history: RunHistory;
  check: LedgerCheck;
  watch: Watch;
  close(): Promise<void>;
}

/** Connects, looks at the server, creates what is missing. Throws `ledger_unavailable` with what helps. */
export async function openLedger(options: DatabaseOptions): Promise<OpenLedger> {
  const { log } = options;
  const db = await createDatabase(options);
  try {
    await db.alone(async (query) => {
      await inspect(query, log);
      await migrate(query);
    });
  } catch (error) {
    await db.close();
    throw unavailable(error, db.location);
  }
  const withdrawals = createWithdrawals(db, log);
  const watch = createWatch(db, log);
  return {
    ledger: createLedger(db, withdrawals),
    leases: createLeases(db, withdrawals),
    history: createHistory(db),
    check: createCheck(db),
    watch,
    async close() {
      withdrawals.close();
      await watch.close();
      await db.close();
    },
  };
}

function createCheck(db: Database): LedgerCheck {
  const { ledgerId, notes, note } = createNotes(db);
  return {
    verify: (task, onProgress = () => undefined) => verify(db, task, onProgress),
    id: ledgerId,
    notes,
    note,
  };
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
