import type { Row } from '../../runs/row.ts';
import type { Database, Statement } from 'better-sqlite3';
import type { StoredEvent } from '../../ledger/chain.ts';
import { CALLS_RECORDED, CALL_COLUMNS } from '../../runs/trail-event.ts';
import { checkCalls } from '../../ledger/verify-trail.ts';
import type { PlainValue } from '../../ledger/verify-projection.ts';
import type { Finding } from '../../ledger/verify.ts';
import { storable } from './storable.ts';

/** Rebuilds the rows of `calls` of each event behind `after`, and looks for rows that no event calls for. */
export function checkTrail(db: Database, after: number, found: (finding: Finding) => void): void {
  const seqs = db
    .prepare(
      `SELECT seq FROM events WHERE run_id = '' AND kind = '${CALLS_RECORDED}' AND seq > @after
       UNION SELECT seq FROM calls WHERE seq > @after OR @after = 0 ORDER BY seq`,
    )
    .pluck()
    .iterate({ after }) as IterableIterator<number>;
  const event = db.prepare('SELECT kind, facts FROM events WHERE seq = ?');
  const values: Statement<[number], PlainValue> = db.prepare('SELECT name, value FROM event_private WHERE seq = ?');
  const rows = db.prepare(`SELECT ${CALL_COLUMNS.join(', ')} FROM calls WHERE seq = ?`);
  for (const seq of seqs) {
    const own = (event.get(seq) as Pick<StoredEvent, 'kind' | 'facts'> | undefined) ?? null;
    checkCalls({ seq, event: own, values: values.all(seq), rows: rows.all(seq) as Row[] }, storable, found);
  }
} // prettier-ignore
