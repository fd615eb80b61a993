import type { LedgerEvent } from '../../runs/action-run.ts';
import type { Database } from 'better-sqlite3';
import { commitAll, GENESIS, linkHash } from '../../ledger/chain.ts';
import { canonicalJson } from '../../shared/json.ts';

/** Links an event to the newest one and stores its private values beside it; callers hold the transaction. Answers its `seq`. */
export type Chain = (event: LedgerEvent) => number;

export function createChain(db: Database): Chain {
  const lastEvent = db.prepare('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1');
  const insertEvent = db.prepare(
    'INSERT INTO events (seq, at, kind, run_id, facts, commitments, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const insertPrivate = db.prepare('INSERT INTO event_private (seq, name, salt, value) VALUES (?, ?, ?, ?)');
  return (event) => {
    const { commitments, values } = commitAll(event.private);
    const last = (lastEvent.get() ?? { seq: 0, hash: GENESIS }) as { seq: number; hash: string };
    const { at, kind, run_id, facts } = event;
    const link = { seq: last.seq + 1, at, kind, run_id, facts, commitments, prev: last.hash };
    const stored = [canonicalJson(facts), canonicalJson(commitments), link.prev, linkHash(link)];
    insertEvent.run(link.seq, at, kind, run_id, ...stored);
    for (const { name, salt, value } of values) insertPrivate.run(link.seq, name, salt, value);
    return link.seq;
  };
}
