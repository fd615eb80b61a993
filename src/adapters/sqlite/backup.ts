import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { AppError, codeOf } from '../../shared/errors.ts';
import { loadDriver } from './driver.ts';
import { LEDGER_FILE, unavailable } from './open.ts';

/** What a ledger file holds. */
export interface LedgerState {
  ledger: string;
  size: number;
  head: string | null;
}

/**
 * A copy as of one instant, while others write. Not the driver's own backup, which starts again whenever another
 * process writes; and what was deleted is not in the copy.
 */
export function backup(db: Database, file: string): LedgerState {
  db.prepare('VACUUM INTO ?').run(file);
  sync(file);
  const copy = new (loadDriver())(file, { readonly: true });
  try {
    return stateOf(copy);
  } finally {
    copy.close();
  }
}

export interface Restored {
  restored: LedgerState;
  /** What was there before, and the file in which it is now. */
  replaced: (LedgerState & { file: string }) | null;
  /** Erasures that the replaced ledger had and the restored one has not. */
  erasures_undone: number;
}

/** Puts a copy in the place of `home/ledger.db`, in one step. Refuses while anybody has that open. */
export function restore(from: string, { home, force }: { home: string; force: boolean }): Restored {
  const file = join(home, LEDGER_FILE);
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  let held: Database | null = null;
  try {
    const restored = lookInto(from);
    held = existsSync(file) ? hold(file) : null;
    const before = held && stateOf(held);
    if (before && !force) refuseLoss(before, restored);
    const erasures_undone =
      held && before?.ledger === restored.ledger ? erasuresAfter(held, restored.size) : 0;
    copyFileSync(from, draft);
    sync(draft);
    const kept = `${file}.replaced-${new Date().toISOString().replaceAll(':', '')}`;
    if (before) linkSync(file, kept);
    renameSync(draft, file);
    sync(dirname(file));
    return { restored, replaced: before && { ...before, file: kept }, erasures_undone };
  } catch (error) {
    throw codeOf(error) === 'SQLITE_BUSY' ? inUse(file) : unavailable(error, file);
  } finally {
    held?.close();
    rmSync(draft, { force: true });
  }
}

/** Only who is alone can leave the write-ahead log; the lock then keeps others out. */
function hold(file: string): Database {
  const db = new (loadDriver())(file, { timeout: 0 });
  try {
    db.pragma('journal_mode = DELETE');
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function lookInto(file: string): LedgerState {
  if (!existsSync(file)) throw new AppError('configuration', `${file} does not exist: this is no backup.`);
  const db = new (loadDriver())(file, { readonly: true });
  try {
    const [{ integrity_check: found }] = db.pragma('integrity_check(1)') as [{ integrity_check: string }];
    if (found !== 'ok')
      throw new AppError(
        'ledger_unavailable',
        `the backup ${file} is damaged: ${found}; nothing was changed`,
      );
    return stateOf(db);
  } finally {
    db.close();
  }
}

function stateOf(db: Database): LedgerState {
  const last = db.prepare('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1').get() as
    { seq: number; hash: string } | undefined;
  const ledger = db.prepare("SELECT value FROM meta WHERE name = 'ledger'").pluck().get() as string;
  return { ledger, size: last?.seq ?? 0, head: last?.hash ?? null };
}

function erasuresAfter(db: Database, seq: number): number {
  const count = db.prepare(
    "SELECT count(*) FROM events WHERE kind IN ('person_erased', 'ledger_pruned') AND kind = 'person_erased' AND seq > ?",
  );
  return count.pluck().get(seq) as number;
}

function refuseLoss(before: LedgerState, restored: LedgerState): void {
  const what =
    before.ledger !== restored.ledger
      ? `the backup is of the ledger ${restored.ledger}, here lies ${before.ledger}`
      : before.size > restored.size
        ? `the ledger has ${before.size} events, the backup only ${restored.size}`
        : null;
  if (what === null) return;
  throw new AppError('refused', `nothing was restored: ${what}`, {
    next: '--force does it; the file that is replaced stays beside it',
  });
}

function inUse(file: string): AppError {
  return new AppError('refused', `nothing was restored: a process has ${file} open`, {
    next: 'end every server that uses this data folder',
  });
}

function sync(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
