import type { Database } from 'better-sqlite3';
import type { ProcessIdentity } from '../../shared/ports.ts';
import type { RunEvent } from '../../runs/action-run.ts';
import {
  NEW_SUBMISSION,
  NOT_DUE,
  type OutboxStanding,
  type Submission,
  type SubmissionGuard,
  type SubmissionState,
} from '../../runs/outbox.ts';
import { ownerText } from './lease-table.ts';
import type { Projection } from './projection.ts';

export const OUTBOX = `
CREATE TABLE outbox (
  run_id TEXT PRIMARY KEY,
  endpoint TEXT NOT NULL,
  phase TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  owner TEXT,
  lease_until INTEGER NOT NULL DEFAULT 0,
  fence INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (due_at) WHERE phase <> 'dead';
`;

/** Reports that are still to be delivered; the methods mirror the port. */
export interface OutboxTable {
  add(run: { run_id: string; at: number }, submission: { endpoint: string }): void;
  /** A run went on, so its report may. */
  wake(event: RunEvent): void;
  due(now: number, limit: number, endpoints: readonly string[]): Submission[];
  list(limit: number): Submission[];
  find(run_id: string): Submission | null;
  take(
    seen: SubmissionGuard,
    by: { owner: ProcessIdentity; lease_until: number; unsure: SubmissionState['unsure'] },
  ): Submission | null;
  settle(guard: SubmissionGuard, next: SubmissionState | null, event: RunEvent | null): boolean;
  retry(run_ids: readonly string[] | null, now: number): number;
  standing(): OutboxStanding;
}

interface OutboxRow {
  run_id: string;
  endpoint: string;
  due_at: number;
  state: string;
  created_at: number;
  owner: string | null;
  lease_until: number;
  fence: number;
}

/** Events after which there is something new to report. */
const NEWS: readonly string[] = ['run_started', 'run_adopted', 'run_finished'];

export function createOutboxTable(db: Database, projection: Projection): OutboxTable {
  const insert = db.prepare('INSERT INTO outbox (run_id, endpoint, phase, due_at, state, created_at) VALUES (?, ?, ?, ?, ?, ?)');
  const wake = db.prepare(`UPDATE outbox SET due_at = ? WHERE run_id = ? AND due_at = ${NOT_DUE}`);
  const due = db.prepare("SELECT * FROM outbox WHERE phase <> 'dead' AND due_at <= ? AND endpoint IN (SELECT value FROM json_each(?)) ORDER BY due_at, run_id LIMIT ?");
  const all = db.prepare('SELECT * FROM outbox ORDER BY created_at, run_id LIMIT ?');
  const one = db.prepare('SELECT * FROM outbox WHERE run_id = ?');
  const hold = db.prepare('UPDATE outbox SET owner = ?, lease_until = ?, fence = fence + 1, state = ? WHERE run_id = ? AND fence = ?');
  const remove = db.prepare('DELETE FROM outbox WHERE run_id = ? AND fence = ?');
  // The run may have ended while its report was under way: then nothing else would wake it.
  const change = db.prepare(
    `UPDATE outbox SET phase = @phase, state = @state, owner = NULL, lease_until = 0,
       due_at = CASE WHEN @due_at = ${NOT_DUE}
         AND EXISTS (SELECT 1 FROM runs WHERE id = @run_id AND status NOT IN ('pending', 'running')) THEN 0 ELSE @due_at END
     WHERE run_id = @run_id AND fence = @fence`,
  );
  const dead = db.prepare("SELECT * FROM outbox WHERE phase = 'dead' ORDER BY run_id");
  const revive = db.prepare("UPDATE outbox SET phase = ?, state = ?, due_at = ? WHERE run_id = ? AND phase = 'dead'");
  const counts = db.prepare(
    "SELECT count(*) - coalesce(sum(phase = 'dead'), 0) AS waiting, coalesce(sum(phase = 'dead'), 0) AS dead, min(created_at) AS oldest_at FROM outbox",
  );

  const take = db.transaction((seen: SubmissionGuard, by: Parameters<OutboxTable['take']>[1]): Submission | null => {
    const row = one.get(seen.run_id) as OutboxRow | undefined;
    if (!row || row.fence !== seen.fence) return null;
    hold.run(ownerText(by.owner), by.lease_until, JSON.stringify({ ...fromRow(row).state, unsure: by.unsure }), seen.run_id, seen.fence);
    return whole(one.get(seen.run_id) as OutboxRow);
  });
  const settle = db.transaction((guard: SubmissionGuard, next: SubmissionState | null, event: RunEvent | null): boolean => {
    const { run_id, fence } = guard;
    const done = next ? change.run({ ...next, state: JSON.stringify(next), run_id, fence }) : remove.run(run_id, fence);
    if (done.changes === 0) return false;
    if (event && projection.read(run_id)) projection.append(event);
    return true;
  });
  const retry = db.transaction((run_ids: readonly string[] | null, now: number): number => {
    const wanted = (dead.all() as OutboxRow[]).filter(({ run_id }) => run_ids === null || run_ids.includes(run_id));
    for (const row of wanted) {
      const { state } = fromRow(row);
      const phase = state.remote ? 'started' : 'one_shot';
      revive.run(phase, JSON.stringify({ ...state, phase, attempts: 0, due_at: now }), now, row.run_id);
    }
    return wanted.length;
  });

  return {
    add: ({ run_id, at }, { endpoint }) =>
      void insert.run(run_id, endpoint, NEW_SUBMISSION.phase, NEW_SUBMISSION.due_at, JSON.stringify(NEW_SUBMISSION), at),
    wake: ({ kind, run_id, at }) => void (NEWS.includes(kind) && wake.run(at, run_id)),
    due: (now, limit, endpoints) => (due.all(now, JSON.stringify(endpoints), limit) as OutboxRow[]).map(whole),
    list: (limit) => (all.all(limit) as OutboxRow[]).map(whole),
    find: (run_id) => rowOrNull(one.get(run_id) as OutboxRow | undefined),
    take: (seen, by) => take.immediate(seen, by),
    settle: (guard, next, event) => settle.immediate(guard, next, event),
    retry: (run_ids, now) => retry.immediate(run_ids, now),
    standing: () => counts.get() as OutboxStanding,
  };
} // prettier-ignore

function fromRow({ state }: OutboxRow): { state: SubmissionState } {
  return { state: JSON.parse(state) as SubmissionState };
}

function whole(row: OutboxRow): Submission {
  const { run_id, endpoint, due_at, created_at, owner, lease_until, fence } = row;
  const parsed = owner === null ? null : (JSON.parse(owner) as ProcessIdentity);
  return { ...fromRow(row).state, run_id, endpoint, due_at, created_at, owner: parsed, lease_until, fence };
}

function rowOrNull(row: OutboxRow | undefined): Submission | null {
  return row ? whole(row) : null;
}
