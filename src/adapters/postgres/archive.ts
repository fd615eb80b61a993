import { randomUUID } from 'node:crypto';
import { applyEvent } from '../../runs/fold.ts';
import type { ImportBatch, LedgerArchive } from '../../ledger/archive.ts';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import type { Database } from './database.ts';
import { documentOf, noteDocumentOf } from './projection.ts';

const HASHES = 'SELECT hash FROM events WHERE seq > $1 ORDER BY seq LIMIT $2';
const EVENTS = `SELECT seq, at, kind, run_id, facts, commitments, prev, hash FROM events
  WHERE run_id = ANY ($1) ORDER BY run_id, seq`;
const VALUES = `SELECT seq, name, salt, value FROM event_private
  WHERE seq IN (SELECT seq FROM events WHERE run_id = ANY ($1)) ORDER BY seq, name`;
const ABSENT = `SELECT w.id FROM unnest($1::text[]) WITH ORDINALITY AS w(id, n)
  WHERE NOT EXISTS (SELECT FROM runs r WHERE r.id = w.id) ORDER BY w.n`;

export function createArchive(db: Pick<Database, 'read' | 'write'>): LedgerArchive {
  return {
    async hashes(after, limit) {
      const rows = await db.read<{ hash: string }>(HASHES, [after, limit]);
      return rows.map(({ hash }) => hash);
    },
    async events(run_ids) {
      // Values first: one that is erased in between is missing, never one without its event.
      const values = new Map<number, StoredValue[]>();
      for (const value of await db.read<StoredValue>(VALUES, [run_ids])) {
        const own = values.get(value.seq);
        if (own) own.push(value);
        else values.set(value.seq, [value]);
      }
      const events = await db.read<StoredEvent>(EVENTS, [run_ids]);
      return events.map((event) => ({ event, values: values.get(event.seq) ?? [] }));
    },
    async absent(run_ids) {
      const rows = await db.read<{ id: string }>(ABSENT, [run_ids]);
      return rows.map(({ id }) => id);
    },
    import: (batch) => importRuns(db, batch),
  };
}

async function importRuns(db: Pick<Database, 'write'>, { bundle, runs }: ImportBatch): Promise<string[]> {
  const documents = runs.map((event) =>
    documentOf(event, { token: randomUUID(), run: applyEvent(null, event) }),
  );
  const rows = await db.write<{ id: string }>('SELECT ledger_import($1, $2) AS id', [
    noteDocumentOf(bundle, randomUUID()),
    `[${documents.join(',')}]`,
  ]);
  return rows.map(({ id }) => id);
}
