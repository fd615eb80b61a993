import type { ArchivedEvent, ImportBatch } from '../../ledger/archive.ts';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import { canonicalJson } from '../../shared/json.ts';
import { createChain } from './chain.ts';
import { refuseWrite, type OpenLedger } from './open.ts';
import { createProjection } from './projection.ts';

/** The port `LedgerArchive` as it lives in a worker. */
export interface SyncArchive {
  hashes(after: number, limit: number): string[];
  events(run_ids: readonly string[]): ArchivedEvent[];
  absent(run_ids: readonly string[]): string[];
  import(batch: ImportBatch): string[];
}

export function createSyncArchive(open: OpenLedger): SyncArchive {
  const { db } = open;
  const projection = createProjection(db);
  const chain = createChain(db);
  const hashes = db.prepare('SELECT hash FROM events WHERE seq > ? ORDER BY seq LIMIT ?').pluck();
  const events = db.prepare(
    'SELECT seq, at, kind, run_id, facts, commitments, prev, hash FROM events WHERE run_id = ? ORDER BY seq',
  );
  const values = db.prepare('SELECT seq, name, salt, value FROM event_private WHERE seq = ? ORDER BY name');
  const present = db.prepare('SELECT 1 FROM runs WHERE id = ?').pluck();
  const noted = db.prepare("SELECT 1 FROM events WHERE run_id = '' AND kind = ? AND facts = ?").pluck();

  const isAbsent = (id: string): boolean => present.get(id) === undefined;
  const read = db.transaction((run_ids: readonly string[]): ArchivedEvent[] =>
    run_ids
      .flatMap((id) => events.all(id) as StoredEvent[])
      .map((event) => ({ event, values: values.all(event.seq) as StoredValue[] })),
  );
  const write = db.transaction(({ bundle, runs }: ImportBatch): string[] => {
    refuseWrite(open, 'nothing was imported');
    const wanted = runs.filter(({ run_id }) => isAbsent(run_id));
    if (wanted.length === 0) return [];
    if (noted.get(bundle.kind, canonicalJson(bundle.facts)) === undefined) chain(bundle);
    return wanted.map((event) => projection.append(event).id);
  });

  return {
    hashes: (after, limit) => hashes.all(after, limit) as string[],
    events: (run_ids) => read(run_ids),
    absent: (run_ids) => run_ids.filter(isAbsent),
    import: (batch) => write.immediate(batch),
  };
}
