import type { Query } from './database.ts';

/**
 * Begins to read the ledger as of one moment: now, or that of a snapshot which another connection exported. A page of a
 * large ledger may take its time; the snapshot holds up nobody.
 */
export async function beginReading(query: Query, snapshot: string | null = null): Promise<void> {
  await query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  // Before anything else is read.
  if (snapshot !== null) await query(`SET TRANSACTION SNAPSHOT '${snapshot}'`);
  await query(
    "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)",
  );
}
