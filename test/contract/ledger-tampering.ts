import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { afterAll, beforeAll, expect } from 'vitest';
import { verify } from '../../src/adapters/sqlite/check.ts';
import {
  areCountsSound, checkOwnEvents, checkPieces, divide, followLinks, isSoundFile,
} from '../../src/adapters/sqlite/quick-check.ts'; // prettier-ignore
import type { StoredEvent } from '../../src/ledger/chain.ts';
import { reportOf } from '../../src/ledger/sound-pieces.ts';
import type { Finding, VerifyReport } from '../../src/ledger/verify.ts';
import { tempFolder } from '../support/mcp.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import { storeHistory } from './ledger-history.ts';

// Somebody with the file and its schema in hand: triggers go, rows change, triggers come back.

let home: Awaited<ReturnType<typeof tempFolder>>;
export let original: string;
export let copy: string;
export let events: StoredEvent[];
export let runs: string[];

/** One small history with every kind of event, of which each change is made to a copy. */
export function useHistory(store: (home: string) => Promise<string[]> = storeHistory): void {
  beforeAll(async () => {
    home = await tempFolder('mutation');
    runs = await store(home.path);
    [original, copy] = [join(home.path, 'original.db'), join(home.path, 'copy.db')];
    const db = new Sqlite(join(home.path, 'ledger.db'));
    db.exec(`VACUUM INTO '${original}'`);
    events = db.prepare('SELECT * FROM events ORDER BY seq').all() as StoredEvent[];
    db.close();
  });
  afterAll(() => home.remove());
}

export interface Outcome extends VerifyReport {
  /** What the second verifier says, places only. */
  again: { what: string; seq: number }[];
}

export function tampered(change: (db: Database) => void): Outcome {
  copyFileSync(original, copy);
  const db = new Sqlite(copy);
  try {
    db.pragma('synchronous = OFF');
    const triggers = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all() as any[];
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    change(db);
    for (const { sql } of triggers) db.exec(sql);
    const report = verify(db, { from: null, known: [] }, () => undefined);
    expect(verifyInPieces(db)).toEqual(report.findings_total > 0 ? null : report);
    return { ...report, again: verifyAgain(copy) };
  } finally {
    db.close();
  }
}

/** What the threads of a verification do side by side. */
function verifyInPieces(db: Database): VerifyReport | null {
  const division = divide(db, { known: [], runs_in_piece: 2 });
  const state = division && followLinks(db, { ...division, known: [] });
  if (!state || !isSoundFile(db) || !areCountsSound(db)) return null;
  const pieces = [checkOwnEvents(db), checkPieces(db, [null, ...division.bounds, null])];
  const sound = pieces.filter((piece) => piece !== null);
  return sound.length < pieces.length ? null : reportOf(sound, { ...division, state });
}

export const set =
  (table: string, column: string, where: string, value: unknown) =>
  (db: Database): void => {
    const { changes } = db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(value);
    if (changes !== 1) throw new Error(`${changes} rows changed`);
  };

/** Found, and said where; `fields` also says which. */
export function located(outcome: Outcome, place: Partial<Finding>): void {
  expect(outcome.findings).toContainEqual(expect.objectContaining(place));
}

export function agreed({ again }: Outcome, ...seqs: number[]): void {
  expect(again.map(({ seq }) => seq)).toEqual(expect.arrayContaining(seqs));
}

export function columnsOf(table: string): string[] {
  const db = new Sqlite(original, { readonly: true });
  const names = (db.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);
  db.close();
  return names;
}
