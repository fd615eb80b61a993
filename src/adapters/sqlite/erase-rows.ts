import type { Database } from 'better-sqlite3';
import type { RowLoss } from '../../ledger/erase-mirrored.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { rebuild } from '../../ledger/verify-projection.ts';
import { createProjection, projector } from './projection.ts';

type PrivateRow = Pick<MirroredRow, 'seq' | 'position' | 'run_id' | 'private'>;

/** All rows that have private values left. */
export function mirroredRows(db: Database): IterableIterator<PrivateRow> {
  const select = db.prepare("SELECT seq, position, run_id, private FROM mirrored WHERE private <> '{}'");
  return select.iterate() as IterableIterator<PrivateRow>;
}

/** Takes the values out, and puts the runs together again that were made of them. */
export function takeOutOfRows(db: Database, losses: readonly RowLoss[]): void {
  const update = db.prepare('UPDATE mirrored SET private = ? WHERE seq = ? AND position = ?');
  for (const { seq, position, private: left } of losses) update.run(left, seq, position);
  deriveAgain(db, new Set(losses.map(({ run_id }) => run_id)));
}

/** Runs without events of their own say what their rows say; without a row that counts there is none. */
export function deriveAgain(db: Database, run_ids: ReadonlySet<string>): void {
  const projection = createProjection(db);
  const own = db.prepare('SELECT 1 FROM events WHERE run_id = ? LIMIT 1').pluck();
  const rows = db.prepare(`SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE run_id = ? ORDER BY seq, position`);
  for (const run_id of run_ids) {
    if (own.get(run_id) !== undefined) continue;
    const rebuilt = rebuild({ events: [], mirrored: rows.all(run_id) as MirroredRow[] }, projector);
    if (rebuilt === 'impossible') throw new Error(`run ${run_id} cannot be put together from its rows`);
    projection.forget(run_id);
    if (rebuilt) projection.rewrite(rebuilt);
  }
} // prettier-ignore
