import type { StoredEvent } from '../../ledger/chain.ts';
import { PAGE_MIRRORED } from '../../ledger/mirror.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { PERSON_ERASED } from '../../ledger/upkeep.ts';
import { checkPage, mirroredErasedBy, mirroredSilence, wrongCurrent } from '../../ledger/verify-mirror.ts';
import type { Finding } from '../../ledger/verify.ts';
import type { Query } from './database.ts';

interface Means {
  stream<R extends object>(query: Query, name: string, statement: string): AsyncGenerator<R>;
  found: (finding: Finding) => void;
}

interface StoredPage {
  seq: number;
  event: Pick<StoredEvent, 'kind' | 'facts'> | null;
  rows: MirroredRow[] | null;
}

/** Compares the rows of each page behind `after` with its event, and looks for rows of no page. */
export async function checkMirror(query: Query, after: number, { stream, found }: Means): Promise<void> {
  let gone = 0;
  for await (const { rows, ...page } of stream<StoredPage>(query, 'all_pages', statement(after))) {
    gone += checkPage({ ...page, rows: rows ?? [] }, found);
  }
  const erasures = await query<Pick<StoredEvent, 'kind' | 'facts'>>(
    `SELECT kind, facts FROM events WHERE kind = '${PERSON_ERASED}' AND seq > $1`,
    [after],
  );
  const told = erasures.reduce((sum, event) => sum + mirroredErasedBy(event), 0);
  if (gone > told) found(mirroredSilence(gone - told));
  for (const row of await query<MirroredRow & object>(WRONG_CURRENT)) found(wrongCurrent(row));
}

const WRONG_CURRENT = `SELECT seq, position, run_id FROM (
  SELECT seq, position, run_id, current,
    (row_number() OVER (PARTITION BY source, endpoint, foreign_id ORDER BY seq DESC, position DESC) = 1)::integer AS counts
  FROM mirrored) AS m WHERE current <> counts`;

function statement(after: number): string {
  const columns = MIRRORED_COLUMNS.map((column) => `'${column}', m.${column}`).join(', ');
  return `SELECT i.seq,
    (SELECT json_build_object('kind', e.kind, 'facts', e.facts) FROM events e WHERE e.seq = i.seq) AS event,
    (SELECT json_agg(json_build_object(${columns}) ORDER BY m.position) FROM mirrored m WHERE m.seq = i.seq) AS rows
    FROM (SELECT seq FROM events WHERE kind = '${PAGE_MIRRORED}' AND seq > ${after}
      UNION SELECT seq FROM mirrored WHERE seq > ${after} OR ${after} = 0) AS i ORDER BY i.seq`;
}
