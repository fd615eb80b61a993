import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../src/adapters/sqlite/check.ts';
import { recordOf, type BundledRun } from '../../src/ledger/bundled-run.ts';
import type { StoredEvent } from '../../src/ledger/chain.ts';
import type { Finding } from '../../src/ledger/verify.ts';
import { intentFor, openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { merged } from '../support/second-bundle-verifier.mjs';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';
import { finished } from './ledger-history.ts';

const NOW = Date.UTC(2026, 8, 1);

let home: Awaited<ReturnType<typeof tempFolder>>;
let original: string;
let run_id: string;
let events: StoredEvent[];

beforeAll(async () => {
  home = await tempFolder('submitted');
  const records = openSqlite(home.path);
  const intent = intentFor({ requested_at: NOW, display: 'ada' });
  run_id = intent.event.run_id;
  await records.ledger.request(intent);
  const api = { endpoint: 'default', action_run_id: 'remote-1', url: 'https://api.example.com/1' };
  const submitted = (submission: string) =>
    ({
      kind: 'run_submitted',
      run_id,
      at: NOW,
      facts: { api: { ...api, submission } },
      private: {},
    }) as const;
  await records.ledger.append(submitted('started'));
  await records.ledger.append(finished(run_id, { at: NOW + 9, status: 'success', exit_code: 0 }));
  await records.ledger.append(submitted('delivered'));
  await records.close();
  original = join(home.path, 'original.db');
  const db = new Sqlite(join(home.path, 'ledger.db'));
  db.exec(`VACUUM INTO '${original}'`);
  events = db.prepare('SELECT * FROM events ORDER BY seq').all() as StoredEvent[];
  db.close();
});
afterAll(() => home.remove());

function tampered(change: (db: Database) => void): { findings: Finding[]; again: unknown[] } {
  const copy = join(home.path, 'copy.db');
  copyFileSync(original, copy);
  const db = new Sqlite(copy);
  try {
    const triggers = db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all() as {
      name: string;
      sql: string;
    }[];
    for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
    change(db);
    for (const sql of triggers.map((one) => one.sql)) db.exec(sql);
    const { findings } = verify(db, { from: null, known: [] }, () => undefined);
    return { findings, again: verifyAgain(copy) };
  } finally {
    db.close();
  }
}

describe('reports to a Polycrate API in the ledger', () => {
  it('are rebuilt alike by both programs, with one alias', () => {
    const bundled = events.map((event) => ({ ...event, private: [], path: [] })) as BundledRun['events'];
    const record = recordOf(bundled);
    expect(record).toMatchObject({
      status: 'success',
      api: { submission: 'delivered', action_run_id: 'remote-1' },
      aliases: [{ source: 'api', endpoint: 'default', id: 'remote-1' }],
    });
    expect(merged(bundled)).toEqual(record);
  });

  it('cannot be changed, taken out or made up without being found', () => {
    const last = events.at(-1)!;
    const first = events.find(({ kind }) => kind === 'run_submitted')!;
    const faults = ({ findings }: { findings: Finding[] }) => findings.map(({ fault }) => fault);
    for (const { seq, facts } of [first, last]) {
      const forged = facts.replace('remote-1', 'remote-2');
      const outcome = tampered((db) =>
        db.prepare('UPDATE events SET facts = ? WHERE seq = ?').run(forged, seq),
      );
      expect(outcome.findings).toContainEqual(expect.objectContaining({ fault: 'event_changed', seq }));
      expect(outcome.again).toContainEqual({ what: 'hash', seq });
    }
    const cut = tampered((db) => db.exec(`DELETE FROM events WHERE seq = ${last.seq}`));
    expect(cut.findings).toContainEqual(
      expect.objectContaining({ fault: 'row_changed', run_id, field: 'record.api' }),
    );
    const record = "json_set(record, '$.api.action_run_id', 'remote-2')";
    expect(faults(tampered((db) => db.exec(`UPDATE runs SET record = ${record}`)))).toEqual(['row_changed']);
    const aliases = tampered((db) => db.exec("UPDATE run_aliases SET alias = 'remote-2'"));
    expect(faults(aliases).sort()).toEqual(['row_missing', 'row_unexpected']);
  });

  it('that are still to be delivered are working state, which nothing proves', () => {
    const outcome = tampered((db) =>
      db.exec(
        `INSERT INTO outbox (run_id, endpoint, phase, due_at, state, created_at) VALUES ('${run_id}', 'x', 'dead', 0, '{}', 0)`,
      ),
    );
    expect(outcome).toEqual({ findings: [], again: [] });
  });
});
