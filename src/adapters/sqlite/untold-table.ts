import type { Database } from 'better-sqlite3';
import type { ProcessIdentity } from '../../shared/ports.ts';
import type { IntentRequest } from '../../runs/run-ledger.ts';
import type { UntoldRun } from '../../runs/untold.ts';
import { ownerText } from './lease-table.ts';

/** Runs whose callers do not know of them yet. Working state: who loses it starts a call again as a new one. */
export interface UntoldTable {
  add(run: { run_id: string; at: number }, untold: NonNullable<IntentRequest['untold']>): void;
  find(call: string, since: number): UntoldRun[];
  pass(seen: UntoldRun, to: ProcessIdentity | null): boolean;
  told(run_id: string): void;
}

interface UntoldRow extends Omit<UntoldRun, 'teller'> {
  teller: string;
}

export function createUntoldTable(db: Database): UntoldTable {
  const sweep = db.prepare('DELETE FROM untold WHERE at < ?');
  const insert = db.prepare('INSERT INTO untold (run_id, call, teller, at) VALUES (?, ?, ?, ?)');
  const select = db.prepare(
    'SELECT run_id, teller, at FROM untold WHERE call = ? AND at >= ? ORDER BY run_id',
  );
  const update = db.prepare('UPDATE untold SET teller = ? WHERE run_id = ? AND teller = ?');
  const remove = db.prepare('DELETE FROM untold WHERE run_id = ?');
  return {
    add({ run_id, at }, { call, teller, valid_ms }) {
      sweep.run(at - valid_ms);
      insert.run(run_id, call, tellerText(teller), at);
    },
    find: (call, since) => (select.all(call, since) as UntoldRow[]).map(fromRow),
    pass: ({ run_id, teller }, to) => update.run(tellerText(to), run_id, tellerText(teller)).changes === 1,
    told: (run_id) => void remove.run(run_id),
  };
}

function tellerText(teller: ProcessIdentity | null): string {
  return teller === null ? '' : ownerText(teller);
}

function fromRow({ teller, ...row }: UntoldRow): UntoldRun {
  return { ...row, teller: teller === '' ? null : (JSON.parse(teller) as ProcessIdentity) };
}
