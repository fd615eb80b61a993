import type { Database } from 'better-sqlite3';
import type { LedgerNotes } from '../../ledger/verify.ts';

export interface SyncNotes {
  ledgerId(): string;
  notes(): LedgerNotes;
  note(notes: Partial<LedgerNotes>): void;
  claim(span: { now: number; until: number }): boolean;
}

/** The table `meta`: the ledger's id, and what is remembered about verifications and anchors. */
export function createNotes(db: Database): SyncNotes {
  const select = db.prepare('SELECT value FROM meta WHERE name = ?').pluck();
  const write = db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)');
  const read = <T>(name: keyof LedgerNotes): T | null => {
    const text = select.get(name) as string | undefined;
    return text === undefined ? null : (JSON.parse(text) as T);
  };
  const note = db.transaction((notes: Partial<LedgerNotes>): void => {
    for (const [name, value] of Object.entries(notes)) write.run(name, JSON.stringify(value));
  });
  const claim = db.prepare(
    `INSERT INTO meta (name, value) VALUES ('claim', @until)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE CAST(meta.value AS INTEGER) <= @now`,
  );
  return {
    ledgerId: () => select.get('ledger') as string,
    notes: () => ({
      verification: read('verification'),
      verified: read('verified'),
      anchor: read('anchor'),
      anchor_problem: read('anchor_problem'),
    }),
    note: (notes) => note.immediate(notes),
    claim: ({ now, until }) => claim.run({ now, until }).changes === 1,
  };
}
