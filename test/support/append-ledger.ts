import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import { intentFor, openSqlite } from './fill-ledger.ts';
import { ownPostgres, programs } from './postgres-server.ts';

export { ownPostgres, openSqlite, programs };

export function openPostgres(url: string): Records {
  return createPostgresLedger({ url, log: () => undefined });
}

/** Stores one intent, as a launch does: what a caller waits for before anything runs. */
export async function storeIntent(records: Records, n: number): Promise<void> {
  const { outcome } = await records.ledger.request(
    intentFor({ requested_at: n, block: `block-${n}`, display: 'ada' }),
  );
  if (outcome !== 'stored') throw new Error(`not stored: ${outcome}`);
}
