import type { LedgerEvent } from '../../runs/action-run.ts';
import { randomUUID } from 'node:crypto';
import { commitAll, GENESIS, linkHash } from '../../ledger/chain.ts';
import { canonicalJson } from '../../shared/json.ts';
import type { Query } from './database.ts';

/**
 * One writer at a time until the transaction ends; readers go on. `patience` for writers of a busy ledger, which wait
 * in their turn for us.
 */
export async function beginUpkeep(query: Query): Promise<void> {
  await query('BEGIN');
  await query("SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true), set_config('idle_in_transaction_session_timeout', '0', true)");
} // prettier-ignore

/** Chains an event that is about no run. The ledger's lock is held. */
export async function chainEvent(query: Query, event: LedgerEvent): Promise<number> {
  const [last] = await query<{ seq: number; hash: string }>(
    'SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1',
  );
  const { commitments, values } = commitAll(event.private);
  const { at, kind, run_id, facts } = event;
  const seq = (last?.seq ?? 0) + 1;
  const link = { seq, at, kind, run_id, facts, commitments, prev: last?.hash ?? GENESIS };
  await query(
    'INSERT INTO events (seq, at, kind, run_id, facts, commitments, prev, hash, token) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    [seq, at, kind, run_id, canonicalJson(facts), canonicalJson(commitments), link.prev, linkHash(link), randomUUID()],
  );
  for (const { name, salt, value } of values) {
    await query('INSERT INTO event_private (seq, name, salt, value) VALUES ($1, $2, $3, $4)', [seq, name, salt, value]);
  }
  await query("SELECT pg_notify(ledger_channel(), '')");
  return seq;
} // prettier-ignore
