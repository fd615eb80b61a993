import type { RowLoss } from '../../ledger/erase-mirrored.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { mirroredRun } from '../../ledger/mirrored-run.ts';
import type { Query } from './database.ts';
import { tablesOf } from './projection.ts';

/** All rows that have private values left, for `stream`. */
export const PRIVATE_ROWS = "SELECT seq, position, run_id, private FROM mirrored WHERE private <> '{}'";

/** Takes the values out, and puts the runs together again that were made of them. */
export async function takeOutOfRows(query: Query, losses: readonly RowLoss[]): Promise<void> {
  if (losses.length === 0) return;
  await query(
    `UPDATE mirrored m SET private = x.private
     FROM json_to_recordset($1) AS x(seq bigint, "position" integer, private text)
     WHERE m.seq = x.seq AND m.position = x.position`,
    [JSON.stringify(losses)],
  );
  await deriveAgain(query, [...new Set(losses.map(({ run_id }) => run_id))]);
}

const DERIVED = `SELECT w.id FROM unnest($1::text[]) AS w(id) WHERE NOT EXISTS (SELECT FROM events e WHERE e.run_id = w.id)`;
const ROWS = `SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE run_id = ANY ($1) ORDER BY seq, position`;

/** Runs without events of their own say what their rows say; without a row that counts there is none. */
export async function deriveAgain(query: Query, run_ids: readonly string[]): Promise<void> {
  const ids = (await query<{ id: string }>(DERIVED, [run_ids])).map(({ id }) => id);
  const rows = new Map(ids.map((id) => [id, [] as MirroredRow[]]));
  for (const row of await query<MirroredRow & object>(ROWS, [ids])) rows.get(row.run_id)!.push(row);
  const runs = [...rows].flatMap(([, own]) => mirroredRun(own) ?? []);
  await query('SELECT ledger_narrow_forget($1)', [ids]);
  for (const place of ['runs WHERE id', 'run_people WHERE run_id', 'run_aliases WHERE run_id']) {
    await query(`DELETE FROM ${place} = ANY ($1)`, [ids]);
  }
  const version = (run_id: string): number => Math.max(...rows.get(run_id)!.map(({ seq }) => seq));
  for (const run of runs) await query('SELECT ledger_put($1, $2)', [version(run.id), JSON.stringify(tablesOf([run]))]);
} // prettier-ignore
