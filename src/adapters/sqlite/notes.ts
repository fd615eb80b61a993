import type { Database } from 'better-sqlite3';
import type { LedgerNotes } from '../../runs/verify.ts';

export interface SyncNotes {
  ledgerId(): string;
  notes(): LedgerNotes;
  note(notes: Partial<LedgerNotes>): void;
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
  return {
    ledgerId: () => select.get('ledger') as string,
    notes: () => ({
      verification: read('verification'),
      verified: read('verified'),
      anchor: read('anchor'),
    }),
    note: (notes) => note.immediate(notes),
  };
}
