import { statSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Intent, IntentRequest } from '../../src/runs/run-ledger.ts';
import { fillLedger, intentFor, LEDGER_WORKER, openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { askChild } from './ask-child.ts';
import { outboxContract } from './outbox.contract.ts';
import { repeatedWritesContract } from './repeated-writes.contract.ts';
import { ledgerContract, type LedgerKind } from './run-ledger.contract.ts';
import { mirrorContract } from './mirror.contract.ts';
import { scopeContract, searchContract } from './run-search.contract.ts';
import { trailContract } from './trail.contract.ts';

const CHILD = new URL('./ledger-child.mjs', import.meta.url).pathname;
const NOW = Date.UTC(2026, 8, 1);

const sqlite: LedgerKind = {
  name: 'SQLite',
  async place() {
    const { path, remove } = await tempFolder('ledger');
    return { at: path, remove };
  },
  connect: openSqlite,
  async request(at, intent) {
    const question = { id: 1, method: 'request', args: [intent] } satisfies Call;
    const { answer, kill } = await askChild<{ value: Intent }>([CHILD, LEDGER_WORKER.href, at], question);
    return { intent: answer.value, kill };
  }, // prettier-ignore
};

interface Call {
  id: number;
  method: string;
  args: [IntentRequest];
}

ledgerContract(sqlite);
repeatedWritesContract(sqlite);
outboxContract(sqlite);
searchContract(sqlite);
scopeContract(sqlite);
trailContract(sqlite);
mirrorContract(sqlite);

describe('the file', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  beforeEach(async () => {
    home = await tempFolder('ledger');
  });
  afterEach(() => home.remove());

  const open = (): Sqlite.Database => new Sqlite(join(home.path, 'ledger.db'));

  it('of a newer version can be read, but launches nothing, naming both versions', async () => {
    const [run] = await fillLedger(home.path, [{ requested_at: NOW }]);
    const db = open();
    db.pragma('user_version = 99');
    db.close();
    const { ledger, history, close } = openSqlite(home.path);
    expect(await ledger.find(run!.id)).toEqual(run);
    expect(await ledger.status()).toMatchObject({ writable: false, schema: 99, problem: expect.stringMatching(/99.*1/) });
    await expect(ledger.request(intentFor({ requested_at: NOW }))).rejects.toMatchObject({
      code: 'ledger_unavailable',
      message: expect.stringMatching(/schema 99.*knows 1/),
    });
    const filters = { span: { since: null, until: null }, time_field: 'started' } as const;
    expect((await history.search({ filters, include_excluded: true, order: 'newest', limit: 5, after: null })).total).toBe(1);
    await close();
  }); // prettier-ignore

  it('refuses to change or delete an event', async () => {
    await fillLedger(home.path, [{ requested_at: NOW }]);
    const db = open();
    expect(() => db.prepare("UPDATE events SET facts = '{}'").run()).toThrow('append-only');
    expect(() => db.prepare('DELETE FROM events').run()).toThrow('append-only');
    expect(() => db.prepare('DELETE FROM events WHERE seq = 1').run()).toThrow('append-only');
    expect(db.prepare('SELECT count(*) FROM events').pluck().get()).toBe(3);
    db.close();
  });

  it('refuses to replace an event under its number', async () => {
    await fillLedger(home.path, [{ requested_at: NOW }]);
    const db = open();
    const replace = "INSERT OR REPLACE INTO events (seq, at, kind, run_id, facts, commitments) VALUES (1, 0, 'x', 'x', '{}', '{}')";
    expect(() => db.prepare(replace).run()).toThrow('append-only');
    db.close();
  }); // prettier-ignore

  it('has what is private only as a commitment in the events, and salted', async () => {
    const personal = { display: 'Ada Lovelace', os_user: 'ada-os', hostname: 'adas-laptop', reason: 'because-of-ada', client: 'adas-client' };
    await fillLedger(home.path, [{ requested_at: NOW, ...personal }, { requested_at: NOW, ...personal }]);
    const db = open();
    const rows = db.prepare('SELECT facts, commitments FROM events ORDER BY seq').all() as { facts: string; commitments: string }[];
    for (const value of Object.values(personal)) expect(JSON.stringify(rows)).not.toContain(value);
    const [first, second] = rows.flatMap(({ commitments }) => (commitments === '{}' ? [] : [JSON.parse(commitments)]));
    expect(Object.keys(first)).toEqual(['approval', 'client', 'hostname', 'os_user', 'principal', 'reason']);
    for (const name of Object.keys(first)) expect(first[name]).not.toBe(second[name]);
    const kept = db.prepare('SELECT value FROM event_private WHERE name = ?').pluck().all('reason');
    expect(kept).toEqual(['"because-of-ada"', '"because-of-ada"']);
    db.close();
  }); // prettier-ignore

  it('is not readable for others', async () => {
    const { ledger, close } = openSqlite(join(home.path, 'new', 'home'));
    await ledger.key();
    await close();
    expect(statSync(join(home.path, 'new', 'home')).mode & 0o077).toBe(0);
    expect(statSync(join(home.path, 'new', 'home', 'ledger.key')).mode & 0o077).toBe(0);
  });
});
