import {
  TOLD_KINDS,
  type WebhookEvent,
  type WebhookQueue,
  type WebhookTurn,
} from '../../ledger/webhook-queue.ts';
import type { Database } from './database.ts';

/** Written out, so that the partial index over these kinds serves it. */
const KINDS = TOLD_KINDS.map((kind) => `'${kind}'`).join(', ');
const AFTER = `SELECT seq, kind, run_id, at FROM events WHERE seq > $1 AND kind IN (${KINDS}) ORDER BY seq LIMIT $2`;
const STANDING = `SELECT EXISTS (SELECT FROM webhooks WHERE webhook = $1) AS known,
  EXISTS (SELECT FROM webhooks w, events e WHERE w.webhook = $1 AND e.seq > w.seq AND e.kind IN (${KINDS})) AS waits`;

export function createWebhookQueue(db: Database): WebhookQueue {
  return {
    async take(webhook, lease_ms) {
      const [standing] = await db.read<{ known: boolean; waits: boolean }>(STANDING, [webhook]);
      if (standing!.known && !standing!.waits) return null;
      const values = [webhook, lease_ms];
      const [row] = await db.write<WebhookTurn>('SELECT * FROM ledger_webhook_take($1, $2)', values);
      return row ?? null;
    },
    async settle(webhook, fence, { seq, attempts, due_in_ms }) {
      const values = [webhook, fence, seq, attempts, due_in_ms];
      const sql = 'SELECT ledger_webhook_settle($1, $2, $3, $4, $5) AS settled';
      const [row] = await db.write<{ settled: boolean }>(sql, values);
      return row!.settled;
    },
    after: (seq, limit) => db.read<WebhookEvent>(AFTER, [seq, limit]),
  };
}
