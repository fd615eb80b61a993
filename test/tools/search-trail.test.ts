import { userInfo } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import Sqlite from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, ERAS, tempFolder, type ConnectOptions, type Connection } from '../support/mcp.ts';
import { startRaw } from '../support/raw.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let root: Awaited<ReturnType<typeof tempFolder>>;
let home: Awaited<ReturnType<typeof tempFolder>>;
let open: Connection[];

beforeAll(async () => {
  root = await tempFolder('root');
  const actions = [script('hello', 'echo hello'), script('sleep', 'sleep 30')];
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks: { db: { version: '1.0.0', actions } } });
}); // prettier-ignore
afterAll(() => root.remove());
beforeEach(async () => {
  [home, open] = [await tempFolder('home'), []];
});
afterEach(async () => {
  await Promise.all(open.map((one) => one.close()));
  await home.remove();
});

const HELLO = { workspace: 'acme/shop', block: 'db', action: 'hello', wait_seconds: 50 };

async function server({ env, ...more }: Partial<ConnectOptions> = {}): Promise<Connection> {
  const one = await connect({ home: home.path, ...more, env: { ...localSettings(root.path), ...env } });
  open.push(one);
  return one;
}

async function trail(one: Connection, args: Record<string, unknown> = {}): Promise<any> {
  const { data, error } = await one.call('search_trail', args);
  expect(error).toBeNull();
  return data;
}

/** Looks at the file, or changes it, past the program. */
function inLedger<T>(use: (db: Sqlite.Database) => T): T {
  const db = new Sqlite(join(home.path, 'ledger.db'), { timeout: 10_000 });
  try {
    return use(db);
  } finally {
    db.close();
  }
}

function events(): { seq: number; kind: string; run_id: string; calls: any[] }[] {
  const rows = inLedger((db) => db.prepare('SELECT seq, kind, run_id, facts FROM events ORDER BY seq').all());
  return (rows as any[]).map(({ facts, ...row }) => ({ ...row, calls: JSON.parse(facts).calls ?? [] }));
}

describe.each(ERAS)('in the %s era', (era) => {
  it('tells who asked what, and how it ended', async () => {
    const one = await server({ era });
    await one.call('list_blocks', { workspace: 'shop' });
    await one.call('list_blocks', { workspace: 'shopp' });
    await one.call('list_blocks', { work_space: 'shop' });
    const { data } = await one.call('run_action', HELLO);
    await one.call('get_action_run', { run_id: data.run.id });
    const found = await trail(one);
    expect(found).toMatchObject({ returned: 5, total: 5, next_cursor: null, filters: {} });
    expect(found.calls).toMatchObject([
      { tool: 'get_action_run', outcome: 'answered', code: null, run_id: data.run.id },
      { tool: 'run_action', outcome: 'launched', code: null, run_id: data.run.id, arguments: HELLO },
      {
        tool: 'list_blocks',
        outcome: 'refused',
        code: 'invalid_argument',
        arguments: { work_space: 'shop' },
      },
      { tool: 'list_blocks', outcome: 'refused', code: 'unknown_name', run_id: null },
      { tool: 'list_blocks', outcome: 'answered', code: null, arguments: { workspace: 'shop' } },
    ]);
    for (const call of found.calls) {
      expect(call.client).toBe('test-client 1.2.3');
      expect(call.principal).toBe(userInfo().username);
      expect(Date.now() - Date.parse(call.at)).toBeLessThan(60_000);
      expect(call.duration_ms).toBeGreaterThanOrEqual(0);
    }
    // The search itself is a call too, once it is over.
    expect((await trail(one, { tool: 'search_trail' })).total).toBe(1);
  });

  it('tells what a human was asked, and answered', async () => {
    let approve = true;
    const onAsk = () => ({ action: 'accept' as const, content: { approve } });
    const one = await server({ era, onAsk, env: { POLYCRATE_MCP_RUN_MODE: 'ask' } });
    const { data } = await one.call('run_action', HELLO);
    approve = false;
    await one.call('run_action', { ...HELLO, allow_concurrent: true });
    const { calls } = await trail(one);
    expect(calls.map(({ outcome, code, run_id }: any) => [outcome, code, run_id])).toEqual([
      ['declined', 'approval_declined', null],
      ['asked', null, null],
      ['approved', null, data.run.id],
      ['asked', null, null],
    ]);
  });
});

describe('what is recorded', () => {
  it('includes resources, found or not', async () => {
    const one = await server();
    const uri = 'polycrate://workspaces/acme/shop';
    await one.client.readResource({ uri });
    await expect(one.client.readResource({ uri: `${uri}p` })).rejects.toThrow();
    expect((await trail(one, { tool: 'resource' })).calls).toMatchObject([
      { outcome: 'refused', code: 'unknown_name', arguments: { uri: `${uri}p` } },
      { outcome: 'answered', code: null, arguments: { uri } },
    ]);
  });

  it('has no secrets, no control characters and no endless texts', async () => {
    const raw = startRaw({ home: home.path, env: localSettings(root.path) });
    const reason = 'with hunter2-hunter2 \u001b[31mred\u202e';
    await raw.call('run_action', { ...HELLO, reason, db_password: 'hunter2-hunter2', '\u001b[2Jx': 'y'.repeat(9_000) });
    const [call] = (await raw.call('search_trail')).result.structuredContent.calls;
    expect(call.arguments).toMatchObject({ db_password: '[secret]', reason: 'with [secret] red', action: 'hello' });
    expect(JSON.stringify(call).length).toBeLessThan(1_500);
    await raw.end();
    const stored = inLedger((db) => db.prepare("SELECT value FROM event_private WHERE name = '0.arguments'").pluck().all() as string[]);
    expect(stored.join()).not.toMatch(/hunter2|\\u001b|\u202e/);
    expect(stored[0]!.length).toBeLessThan(5_000);
    const digests = inLedger((db) => db.prepare("SELECT value FROM event_private WHERE name = '0.arguments_digest'").pluck().all());
    expect(digests[0]).toMatch(/^"[0-9a-f]{64}"$/);
  }); // prettier-ignore

  it('also of a server that only reads', async () => {
    const one = await server({ env: { POLYCRATE_MCP_RUN_MODE: 'read-only' } });
    await one.call('get_status');
    expect(await trail(one)).toMatchObject({ total: 1, calls: [{ tool: 'get_status' }] });
  });

  it('is nothing where the operator switched it off, and both tools say so', async () => {
    const one = await server({ env: { POLYCRATE_MCP_TRAIL: 'off' } });
    const { data } = await one.call('run_action', HELLO);
    expect(data.run.status).toBe('success');
    expect((await one.call('get_status')).data.ledger.trail).toMatch(/^off/);
    expect(await trail(one)).toMatchObject({ total: 0, note: expect.stringContaining('not recorded') });
    expect(events().map(({ kind }) => kind)).not.toContain('calls_recorded');
  });
});

describe('when it is stored', () => {
  it('reads as one batch, and before a launch in its own transaction', async () => {
    const one = await server();
    for (let n = 0; n < 3; n++) await one.call('list_workspaces');
    const { data } = await one.call('run_action', HELLO);
    const all = events();
    const launch = all.findIndex(({ kind }) => kind === 'run_requested');
    const before = all.slice(0, launch);
    // A second may have passed on a busy machine: then some were stored already.
    expect(before.flatMap(({ calls }) => calls.map(({ tool }) => tool))).toEqual([
      'list_workspaces', 'list_workspaces', 'list_workspaces', 'run_action',
    ]); // prettier-ignore
    expect(before.at(-1)).toMatchObject({ kind: 'calls_recorded', run_id: '' });
    expect(before.at(-1)!.calls.at(-1)).toMatchObject({ outcome: 'launched', run_id: data.run.id });
    expect(before.length).toBeLessThan(4);
  });

  it('a refusal before its answer, so that kill -9 does not lose it', async () => {
    const one = await server();
    await one.call('list_workspaces');
    expect((await one.call('get_block', { workspace: 'shop', block: 'dbb' })).isError).toBe(true);
    process.kill(one.pid, 'SIGKILL');
    const next = await server();
    expect((await trail(next)).calls.map(({ tool }: any) => tool)).toEqual(['get_block', 'list_workspaces']);
  });

  it.each(['end of input', 'SIGTERM'])('what waits at the %s', async (how) => {
    const raw = startRaw({ home: home.path, env: localSettings(root.path) });
    await raw.call('list_workspaces');
    if (how === 'SIGTERM') {
      raw.process.kill('SIGTERM');
      await once(raw.process, 'exit');
    } else await raw.end();
    expect(events().flatMap(({ calls }) => calls.map(({ tool }) => tool))).toEqual(['list_workspaces']);
  });
});

describe('where it cannot be stored', () => {
  /** Somebody else's change of the schema; the ledger itself can still be read and written. */
  const broken = 'ALTER TABLE calls RENAME TO elsewhere';
  const mended = 'ALTER TABLE elsewhere RENAME TO calls';

  it('answers say so, nothing launches, and afterwards nothing is missing', async () => {
    const one = await server();
    await one.call('list_workspaces');
    await trail(one);
    inLedger((db) => db.exec(broken));
    const refused = await one.call('get_block', { workspace: 'shop', block: 'dbb' });
    expect(refused.error).toMatchObject({ code: 'unknown_name' });
    const { data } = await one.call('list_workspaces');
    expect(data.workspaces).toHaveLength(1);
    expect(data.warnings).toEqual([expect.stringMatching(/not recorded yet.*nothing launches/)]);
    const { error } = await one.call('run_action', HELLO);
    expect(error).toMatchObject({ code: 'ledger_unavailable' });
    expect((await one.call('get_status')).data.ledger).toMatchObject({
      runs: { total: 0 },
      trail: /^waiting/,
    });
    inLedger((db) => db.exec(mended));
    const { calls, warnings } = await trail(one, { outcome: ['refused', 'failed'] });
    expect(warnings).toBeUndefined();
    expect(calls).toMatchObject([
      { tool: 'run_action', outcome: 'failed', code: 'ledger_unavailable', run_id: null },
      { tool: 'get_block', outcome: 'refused' },
    ]);
    expect((await one.call('run_action', HELLO)).data.run.status).toBe('success');
  });

  it('the very first read says so', async () => {
    const before = await server();
    await before.call('list_workspaces');
    await before.close();
    inLedger((db) => db.exec(broken));
    const one = await server();
    const { data } = await one.call('list_workspaces');
    expect(data.workspaces).toHaveLength(1);
    expect(data.warnings).toEqual([expect.stringMatching(/not recorded yet.*nothing launches/)]);
    const { error } = await one.call('run_action', HELLO);
    expect(error).toMatchObject({ code: 'ledger_unavailable' });
    inLedger((db) => db.exec(mended));
  });

  it('because somebody else holds it, the first read says so and waits no longer than a second', async () => {
    const before = await server();
    await before.call('list_workspaces');
    await before.close();
    const one = await server();
    const held = new Sqlite(join(home.path, 'ledger.db'));
    held.exec('BEGIN IMMEDIATE');
    const { data } = await one.call('list_workspaces');
    expect(data.workspaces).toHaveLength(1);
    expect(data.warnings).toEqual([expect.stringMatching(/not recorded yet.*does not answer/)]);
    held.exec('ROLLBACK');
    held.close();
    const { calls, warnings } = await trail(one, { tool: 'list_workspaces' });
    expect(warnings).toBeUndefined();
    expect(calls).toHaveLength(2);
  });

  it('because the ledger is of a newer version, reads go on and say so', async () => {
    const first = await server();
    await first.call('run_action', HELLO);
    await first.close();
    inLedger((db) => db.pragma('user_version = 99'));
    const one = await server();
    const { data } = await one.call('search_action_runs');
    // On a busy machine it may not have opened within a second.
    expect(data.warnings).toEqual([expect.stringMatching(/schema 99|does not answer/)]);
    expect((await trail(one)).warnings).toEqual([expect.stringContaining('schema 99')]);
    expect((await one.call('list_workspaces')).data.warnings).toHaveLength(1);
    expect((await one.call('run_action', HELLO)).error).toMatchObject({ code: 'ledger_unavailable' });
  });
});

describe('a question about it', () => {
  it('filters, pages and counts exactly', async () => {
    const one = await server();
    for (let n = 0; n < 7; n++) await one.call('list_workspaces', { query: `q${n}` });
    for (let n = 0; n < 4; n++) await one.call('get_block', { workspace: 'shop', block: `none-${n}` });
    const filter = { tool: ['list_workspaces'], during: '1h' };
    const first = await trail(one, { ...filter, limit: 5 });
    expect(first).toMatchObject({ returned: 5, total: 7, filters: { tool: ['list_workspaces'] } });
    const second = await trail(one, { ...filter, limit: 5, cursor: first.next_cursor });
    expect(second).toMatchObject({ returned: 2, total: 7, next_cursor: null });
    expect([...first.calls, ...second.calls].map(({ arguments: { query } }: any) => query)).toEqual(
      ['q6', 'q5', 'q4', 'q3', 'q2', 'q1', 'q0'],
    );
    expect((await trail(one, { outcome: 'refused' })).total).toBe(4);
    expect((await trail(one, { until: '2020-01-01T00:00:00Z' })).total).toBe(0);
    const [{ principal }] = first.calls;
    expect((await trail(one, { principal: principal.toUpperCase(), tool: 'get_block' })).total).toBe(4);
    const foreign = await one.call('search_trail', { ...filter, tool: 'get_block', cursor: first.next_cursor });
    expect(foreign.error).toMatchObject({ code: 'invalid_argument' });
  }); // prettier-ignore

  it.each([
    ['tool', 'run_acton', 'run_action'],
    ['outcome', 'decline', 'declined'],
  ])('refuses an unknown %s with the closest', async (argument, given, closest) => {
    const one = await server();
    const { error } = await one.call('search_trail', { [argument]: given });
    expect(error!.valid![0]).toBe(closest);
  });

  it('refuses a principal that never asked anything', async () => {
    const { error } = await (await server()).call('search_trail', { principal: 'nobody-of-that-name' });
    expect(error).toMatchObject({ code: 'unknown_name', message: expect.stringContaining('nobody') });
  });

  it('has a small answer by default', async () => {
    const one = await server();
    const query = 'x'.repeat(150);
    await Promise.all(Array.from({ length: 25 }, () => one.call('list_workspaces', { query })));
    const { characters, data } = await one.call('search_trail');
    expect(data.returned).toBe(20);
    expect(characters / 4).toBeLessThan(6_000);
  });
});
