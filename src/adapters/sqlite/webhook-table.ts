import type { Database } from 'better-sqlite3';
import {
  TOLD_KINDS,
  type WebhookEvent,
  type WebhookState,
  type WebhookTurn,
} from '../../ledger/webhook-queue.ts';

/** Written out, so that the partial index over these kinds serves it. */
const KINDS = TOLD_KINDS.map((kind) => `'${kind}'`).join(', ');

/** How far each webhook has come. Working state: who loses it is told of nothing twice, but of what comes. */
export const WEBHOOK_TABLE = `
CREATE TABLE webhooks (webhook TEXT PRIMARY KEY, seq INTEGER NOT NULL, attempts INTEGER NOT NULL, due_at INTEGER NOT NULL,
  fence INTEGER NOT NULL, lease_until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX events_told ON events (seq) WHERE kind IN (${KINDS});
`;

export interface WebhookTable {
  webhookTake(webhook: string, lease_ms: number): WebhookTurn | null;
  webhookSettle(webhook: string, fence: number, next: WebhookState & { due_in_ms: number }): boolean;
  webhookAfter(seq: number, limit: number): WebhookEvent[];
}

interface WebhookRow {
  seq: number;
  due_at: number;
  lease_until: number;
}

function isDue({ due_at, lease_until }: WebhookRow, now: number): boolean {
  return lease_until < now && due_at <= now;
}

export function createWebhookTable(db: Database): WebhookTable {
  const begin = db.prepare(
    `INSERT INTO webhooks SELECT ?, coalesce((SELECT max(seq) FROM events), 0), 0, 0, 0, 0 WHERE true ON CONFLICT DO NOTHING`,
  );
  const known = db.prepare('SELECT seq, due_at, lease_until FROM webhooks WHERE webhook = ?');
  const turn = db.prepare(
    `UPDATE webhooks SET fence = fence + 1, lease_until = @until WHERE webhook = @webhook AND lease_until < @now AND due_at <= @now
     RETURNING seq, attempts, fence`,
  );
  const settle = db.prepare(
    `UPDATE webhooks SET seq = @seq, attempts = @attempts, due_at = @due_at, lease_until = 0
     WHERE webhook = @webhook AND fence = @fence`,
  );
  const after = db.prepare(
    `SELECT seq, kind, run_id, at FROM events WHERE seq > ? AND kind IN (${KINDS}) ORDER BY seq LIMIT ?`,
  );
  const take = db.transaction((webhook: string, lease_ms: number): WebhookTurn | null => {
    const now = Date.now();
    const state = known.get(webhook) as WebhookRow | undefined;
    if (!state) begin.run(webhook);
    // Watchers are woken by every write, this one's own too.
    if (!state || !isDue(state, now) || after.all(state.seq, 1).length === 0) return null;
    return (turn.get({ webhook, now, until: now + lease_ms }) as WebhookTurn | undefined) ?? null;
  });
  return {
    webhookTake: (webhook, lease_ms) => take.immediate(webhook, lease_ms),
    webhookSettle: (webhook, fence, { seq, attempts, due_in_ms }) =>
      settle.run({ webhook, fence, seq, attempts, due_at: Date.now() + due_in_ms }).changes === 1,
    webhookAfter: (seq, limit) => after.all(seq, limit) as WebhookEvent[],
  };
}
