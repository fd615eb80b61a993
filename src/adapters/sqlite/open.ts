import {
  existsSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  writeFileSync,
  linkSync,
  unlinkSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { loadDriver } from './driver.ts';
import { networkFileSystem } from './file-system.ts';
import { SCHEMA_VERSION, migrate } from './schema.ts';

/** Long enough for other processes' bursts: the wait happens in a worker, not on the protocol's thread. */
const BUSY_TIMEOUT_MS = 15_000;
const BUSY_PAUSE_MS = 10;

/** Below this much free space nothing launches and no call is recorded; ends of open runs are still written. */
const RESERVE_BYTES = 32 * 1024 * 1024;

export const LEDGER_FILE = 'ledger.db';

export interface OpenLedger {
  db: Database;
  file: string;
  schema: number;
  writable: boolean;
  problem: string | null;
  key: Uint8Array;
}

/** Opens or creates `home/ledger.db` with full durability. Throws `ledger_unavailable` with what helps. */
export function openLedger(home: string): OpenLedger {
  const file = join(home, LEDGER_FILE);
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    refuseNetworkFileSystem(home);
    const { db, schema } = openFile(file);
    const newer = schema > SCHEMA_VERSION;
    return {
      db,
      file,
      schema,
      writable: !newer,
      problem: newer
        ? `the ledger has schema ${schema}, this version knows ${SCHEMA_VERSION}: reading works, launching needs a newer polycrate-mcp`
        : null,
      key: ledgerKey(home),
    };
  } catch (error) {
    throw unavailable(error, file);
  }
}

/** Of several that open a new ledger at once SQLite tells some that it is busy, and does not let them wait: they begin again. */
function openFile(file: string): { db: Database; schema: number } {
  const Sqlite = loadDriver();
  for (const until = performance.now() + BUSY_TIMEOUT_MS; ;) {
    const db = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
    try {
      db.pragma('journal_mode = WAL');
      db.pragma('synchronous = FULL');
      db.pragma('foreign_keys = ON');
      return { db, schema: migrate(db) };
    } catch (error) {
      db.close();
      if (!codeOf(error)?.startsWith('SQLITE_BUSY') || performance.now() > until) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_PAUSE_MS);
    }
  }
}

function refuseNetworkFileSystem(home: string): void {
  const name = networkFileSystem(statfsSync(home));
  if (!name) return;
  throw new AppError(
    'ledger_unavailable',
    `the data folder ${home} lies on a network file system (${name})`,
    {
      next: 'set POLYCRATE_MCP_HOME to a folder on a local disk',
    },
  );
}

/** The key for keyed digests, created once with mode 0600; two processes agree because link() is exclusive. */
function ledgerKey(home: string): Uint8Array {
  const file = join(home, 'ledger.key');
  if (!existsSync(file)) {
    const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(draft, randomBytes(32), { mode: 0o600, flag: 'wx' });
    try {
      linkSync(draft, file);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      unlinkSync(draft);
    }
  }
  return readFileSync(file);
}

/** For what must not be stored by a version that does not know the schema, nor with the last free space. */
export function refuseWrite({ writable, problem, file }: OpenLedger, consequence: string): void {
  if (!writable) throw new AppError('ledger_unavailable', `${consequence}: ${problem}`);
  const { bavail, bsize } = statfsSync(dirname(file));
  if (bavail * bsize < RESERVE_BYTES) {
    throw new AppError(
      'ledger_unavailable',
      `${consequence}: less than ${RESERVE_BYTES / 1024 / 1024} MiB are free where the ledger lies (${dirname(file)})`,
      { next: 'free some disk space' },
    );
  }
}

/** Turns a system's or SQLite's error into ours, with the way out where there is a known one. */
export function unavailable(error: unknown, file: string): AppError {
  if (error instanceof AppError) return error;
  const code = codeOf(error) ?? '';
  const next =
    code.includes('FULL') || code === 'ENOSPC'
      ? 'free some disk space'
      : code === 'EACCES' ||
          code === 'EROFS' ||
          code === 'EPERM' ||
          code.includes('READONLY') ||
          code.includes('CANTOPEN')
        ? 'make the data folder (POLYCRATE_MCP_HOME) writable for this user'
        : code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED'
          ? 'better-sqlite3 could not be loaded: run `polycrate-mcp doctor`'
          : 'run `polycrate-mcp doctor`';
  return new AppError('ledger_unavailable', `the ledger ${file} cannot be used: ${messageOf(error)}`, {
    next,
    cause: error,
  });
}
