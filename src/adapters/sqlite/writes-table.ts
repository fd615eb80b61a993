import type { Database } from 'better-sqlite3';
import { AppError } from '../../shared/errors.ts';
import type { LeaseGuard, WriteId } from '../../runs/run-ledger.ts';

/** What may come once more because its answer was lost; `fence`: of the lease that it made or took. Working state. */
export const WRITES_TABLE = `
CREATE TABLE writes (id TEXT PRIMARY KEY, run_id TEXT, fence INTEGER, withdrawn INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX writes_by_age ON writes (at);
`;

/** Nobody asks again after so long. */
const KEPT_MS = 7 * 24 * 3_600_000;

export interface WritesTable {
  /** True: it is stored already. Throws if it was given up. */
  seen(id: WriteId | undefined): boolean;
  note(id: WriteId | undefined, lease: LeaseGuard | null): void;
  /** From now on it is refused; answers the lease that it made or took. */
  withdraw(id: WriteId): LeaseGuard | null;
}

export function createWritesTable(db: Database): WritesTable {
  const select = db.prepare('SELECT run_id, fence, withdrawn FROM writes WHERE id = ?');
  const insert = db.prepare('INSERT INTO writes (id, run_id, fence, withdrawn, at) VALUES (?, ?, ?, ?, ?)');
  const give = db.prepare('UPDATE writes SET withdrawn = 1 WHERE id = ?');
  const sweep = db.prepare('DELETE FROM writes WHERE at < ?');
  const find = (id: WriteId) =>
    select.get(id) as { run_id: string | null; fence: number | null; withdrawn: number } | undefined;
  const add = (id: WriteId, lease: LeaseGuard | null, withdrawn: 0 | 1): void => {
    const now = Date.now();
    sweep.run(now - KEPT_MS);
    insert.run(id, lease?.run_id ?? null, lease?.fence ?? null, withdrawn, now);
  };
  return {
    seen(id) {
      const found = id === undefined ? undefined : find(id);
      if (found?.withdrawn) {
        throw new AppError('ledger_unavailable', 'this call was given up before it arrived');
      }
      return found !== undefined;
    },
    note(id, lease) {
      if (id !== undefined) add(id, lease, 0);
    },
    withdraw(id) {
      const found = find(id);
      if (found) give.run(id);
      else add(id, null, 1);
      return found && found.run_id !== null && found.fence !== null
        ? { run_id: found.run_id, fence: found.fence }
        : null;
    },
  };
}
