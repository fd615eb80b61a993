import type { LedgerNotes } from '../../ledger/verify.ts';
import type { Database } from './database.ts';

/** The table `meta`: the ledger's id, and what is remembered about verifications and anchors. */
export interface Notes {
  ledgerId(): Promise<string>;
  notes(): Promise<LedgerNotes>;
  note(notes: Partial<LedgerNotes>): Promise<void>;
  claim(span: { now: number; until: number }): Promise<boolean>;
}

export function createNotes({ read, write }: Pick<Database, 'read' | 'write'>): Notes {
  return {
    async ledgerId() {
      const [row] = await read<{ value: string }>("SELECT value FROM meta WHERE name = 'ledger'");
      return row!.value;
    },
    async notes() {
      const rows = await read<{ name: string; value: string }>(
        "SELECT name, value FROM meta WHERE name <> 'ledger'",
      );
      const kept = new Map(rows.map(({ name, value }) => [name, JSON.parse(value) as unknown]));
      const of = <T>(name: keyof LedgerNotes): T | null => (kept.get(name) as T | undefined) ?? null;
      return {
        verification: of('verification'),
        verified: of('verified'),
        anchor: of('anchor'),
        anchor_problem: of('anchor_problem'),
      };
    },
    async note(notes) {
      const texts = Object.entries(notes).map(([name, value]) => [name, JSON.stringify(value)]);
      await write('SELECT ledger_note($1)', [JSON.stringify(Object.fromEntries(texts))]);
    },
    async claim({ now, until }) {
      const [row] = await write<{ mine: boolean }>('SELECT ledger_claim($1, $2) AS mine', [now, until]);
      return row!.mine;
    },
  };
}
