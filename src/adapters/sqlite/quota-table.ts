import type { Database } from 'better-sqlite3';
import { QUOTA_WINDOW_MS, type Intent, type Quota } from '../../runs/run-ledger.ts';

/** Runs under rules of a policy that count them. Working state: only the last hour and open runs matter. */
export const QUOTA_TABLE = `
CREATE TABLE policy_uses (run_id TEXT PRIMARY KEY, rule TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX policy_uses_by_rule ON policy_uses (rule, at);
`;

export interface QuotaTable {
  /** Null: there is room for one more. The caller holds the transaction. */
  exceeded(quota: Quota, now: number): Extract<Intent, { outcome: 'limited' }> | null;
  add(run: { run_id: string; at: number }, quota: Quota): void;
}

export function createQuotaTable(db: Database): QuotaTable {
  const open = db
    .prepare(
      `SELECT count(*) FROM policy_uses JOIN runs ON runs.id = policy_uses.run_id
       WHERE rule = ? AND status IN ('pending', 'running')`,
    )
    .pluck();
  const recent = db.prepare('SELECT count(*) FROM policy_uses WHERE rule = ? AND at > ?').pluck();
  const insert = db.prepare('INSERT INTO policy_uses (run_id, rule, at) VALUES (?, ?, ?)');
  const sweep = db.prepare(
    `DELETE FROM policy_uses WHERE at <= ?
     AND run_id NOT IN (SELECT id FROM runs WHERE status IN ('pending', 'running'))`,
  );
  return {
    exceeded({ rule, concurrency, per_hour }, now) {
      if (concurrency !== null && (open.get(rule) as number) >= concurrency) {
        return { outcome: 'limited', rule, what: 'concurrency', most: concurrency };
      }
      if (per_hour !== null && (recent.get(rule, now - QUOTA_WINDOW_MS) as number) >= per_hour) {
        return { outcome: 'limited', rule, what: 'per_hour', most: per_hour };
      }
      return null;
    },
    add({ run_id, at }, { rule }) {
      sweep.run(at - QUOTA_WINDOW_MS);
      insert.run(run_id, rule, at);
    },
  };
}
