import type { Database } from 'better-sqlite3';
import type { StoredEvent } from '../../ledger/chain.ts';
import { PAGE_MIRRORED } from '../../ledger/mirror.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { checkPage, mirroredErasedBy, mirroredSilence, wrongCurrent } from '../../ledger/verify-mirror.ts';
import { PERSON_ERASED } from '../../ledger/upkeep.ts';
import type { Finding } from '../../ledger/verify.ts';

/** Compares the rows of each page behind `after` with its event, and looks for rows of no page. */
export function checkMirror(db: Database, after: number, found: (finding: Finding) => void): void {
  const seqs = db
    .prepare(
      `SELECT seq FROM events WHERE kind = '${PAGE_MIRRORED}' AND seq > @after
       UNION SELECT seq FROM mirrored WHERE seq > @after OR @after = 0 ORDER BY seq`,
    )
    .pluck()
    .iterate({ after }) as IterableIterator<number>;
  const event = db.prepare('SELECT kind, facts FROM events WHERE seq = ?');
  const rows = db.prepare(`SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE seq = ? ORDER BY position`);
  let gone = 0;
  for (const seq of seqs) {
    const own = (event.get(seq) as Pick<StoredEvent, 'kind' | 'facts'> | undefined) ?? null;
    gone += checkPage({ seq, event: own, rows: rows.all(seq) as MirroredRow[] }, found);
  }
  const told = toldErased(db, after);
  if (gone > told) found(mirroredSilence(gone - told));
  for (const row of db.prepare(WRONG_CURRENT).all() as MirroredRow[]) found(wrongCurrent(row));
} // prettier-ignore

function toldErased(db: Database, after: number): number {
  const erasures = db.prepare(`SELECT kind, facts FROM events WHERE kind = '${PERSON_ERASED}' AND seq > ?`);
  const events = erasures.all(after) as Pick<StoredEvent, 'kind' | 'facts'>[];
  return events.reduce((sum, own) => sum + mirroredErasedBy(own), 0);
}

const WRONG_CURRENT = `SELECT seq, position, run_id FROM (
  SELECT seq, position, run_id, current,
    row_number() OVER (PARTITION BY source, endpoint, foreign_id ORDER BY seq DESC, position DESC) = 1 AS counts
  FROM mirrored) WHERE current <> counts`;
