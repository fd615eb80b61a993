import type { Row } from '../../runs/row.ts';
import type { StoredEvent } from '../../ledger/chain.ts';
import { CALLS_RECORDED, CALL_COLUMNS } from '../../runs/trail-event.ts';
import { checkCalls } from '../../ledger/verify-trail.ts';
import type { PlainValue } from '../../ledger/verify-projection.ts';
import type { Finding } from '../../ledger/verify.ts';
import type { Query } from './database.ts';
import { plain } from './plain-text.ts';

interface Means {
  stream<R extends object>(query: Query, name: string, statement: string): AsyncGenerator<R>;
  found: (finding: Finding) => void;
}

interface StoredBatch {
  seq: number;
  event: Pick<StoredEvent, 'kind' | 'facts'> | null;
  values: PlainValue[] | null;
  rows: Row[] | null;
}

/** Rebuilds the rows of `calls` of each event behind `after`, and looks for rows that no event calls for. */
export async function checkTrail(query: Query, after: number, { stream, found }: Means): Promise<void> {
  for await (const { seq, event, values, rows } of stream<StoredBatch>(
    query,
    'all_calls',
    statement(after),
  )) {
    checkCalls({ seq, event, values: values ?? [], rows: rows ?? [] }, plain, found);
  }
}

function statement(after: number): string {
  return `SELECT i.seq,
    (SELECT json_build_object('kind', e.kind, 'facts', e.facts) FROM events e WHERE e.seq = i.seq) AS event,
    (SELECT json_agg(json_build_object('name', p.name, 'value', p.value)) FROM event_private p WHERE p.seq = i.seq) AS values,
    (SELECT json_agg(json_build_object(${CALL_COLUMNS.map((column) => `'${column}', c.${column}`).join(', ')}))
     FROM calls c WHERE c.seq = i.seq) AS rows
    FROM (SELECT seq FROM events WHERE kind = '${CALLS_RECORDED}' AND seq > ${after}
      UNION SELECT seq FROM calls WHERE seq > ${after} OR ${after} = 0) AS i ORDER BY i.seq`;
}
