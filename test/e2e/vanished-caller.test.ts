import Sqlite from 'better-sqlite3';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { counting } from '../support/numbered-log.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { kill9, rows, until } from '../support/traces.ts';

// Calls without an idempotency key, whose caller is gone before it was given the run's id.

const MINUTE = 60_000;

let home: Awaited<ReturnType<typeof tempFolder>>;
let workspace: ScriptWorkspace;
let servers: Connection[];

beforeEach(async () => {
  const actions = { count: `${MARK}\n${counting()}`, quick: `${MARK}; echo done` };
  [home, servers] = [await tempFolder('vanished'), []];
  workspace = await scriptWorkspace({ block: actions });
});
afterEach(async () => {
  await workspace.enough('block');
  await Promise.all(servers.map((one) => one.close().catch(() => undefined)));
  await until('no lease', () => rows(home.path, 'SELECT 1 FROM leases').length === 0);
  await Promise.all([workspace.remove(), home.remove()]);
});

async function serve(): Promise<Connection> {
  const one = await connect({ home: home.path, env: trusted(workspace, 'local') });
  servers.push(one);
  return one;
}

const CALL = { workspace: 'scripts', block: 'block', action: 'count', reason: 'release' };
const QUICK = { ...CALL, action: 'quick', wait_seconds: 20 };
const runs = (): any[] => rows(home.path, 'SELECT id FROM runs ORDER BY id');
const untold = (): any[] => rows(home.path, 'SELECT * FROM untold');
const firstRun = (): Promise<string> => until('an intent', () => runs()[0]?.id as string | undefined);
const ran = async (): Promise<number> => (await workspace.written('marks/block')).split('\n').length - 1;

/** A call whose server is killed before it answers; answers the run's id, which its caller does not get. */
async function vanishedCall(): Promise<string> {
  const first = await serve();
  void first.call('run_action', { ...CALL, wait_seconds: 50 }).catch(() => undefined);
  const run_id = await firstRun();
  await kill9(first);
  return run_id;
}

describe('the next call that is the same', () => {
  it('is given the run of the call whose server was killed, and the one after that is a call of its own', async () => {
    const run_id = await vanishedCall();
    const second = await serve();
    const again = await second.call('run_action', { ...CALL, wait_seconds: 0 });
    expect(again.data).toMatchObject({ replayed: true, run: { id: run_id } });
    expect(again.data.replayed_age_seconds).toBeLessThan(30);
    const third = await second.call('run_action', { ...CALL, wait_seconds: 0 });
    // Killed before its start, the run is closed by now; else it is in the way.
    if (third.error) expect(third.error).toMatchObject({ code: 'already_active', details: { run_id } });
    else expect(third.data).toMatchObject({ replayed: false });
  });

  it.each([
    ['on the same server', async (first: Connection) => first],
    ['on another one, while the first lives', () => serve()],
  ])('is given the run of the call that was cancelled, %s', async (_, next) => {
    const first = await serve();
    const cancel = new AbortController();
    const called = first.call('run_action', { ...CALL, wait_seconds: 50 }, { signal: cancel.signal });
    const run_id = await firstRun();
    await until('the action', ran);
    cancel.abort();
    await expect(called).rejects.toThrow();
    const second = await next(first);
    await until('word that nobody waits', () => untold()[0]?.teller === '');
    const again = await second.call('run_action', { ...CALL, wait_seconds: 0 });
    expect(again.data).toMatchObject({ replayed: true, finished: false, run: { id: run_id } });
    await until('word that it was told', () => untold().length === 0);
    expect(runs()).toHaveLength(1);
    expect(await ran()).toBe(1);
  });

  it('is given the run of a client that closed, although it has ended by then', async () => {
    const first = await serve();
    void first.call('run_action', { ...CALL, wait_seconds: 50 }).catch(() => undefined);
    const run_id = await firstRun();
    await until('the action', ran);
    await first.close();
    await workspace.enough('block');
    await until('an end', () => rows(home.path, "SELECT 1 FROM runs WHERE status = 'success'").length);
    const again = await (await serve()).call('run_action', { ...CALL, wait_seconds: 0 });
    expect(again.data).toMatchObject({
      replayed: true,
      finished: true,
      succeeded: true,
      run: { id: run_id },
    });
    expect(await ran()).toBe(1);
  });
});

describe('a new run is started', () => {
  it('for a caller that was told of the first one, also when that server was killed since', async () => {
    const first = await serve();
    const ids = new Set<string>();
    for (let calls = 0; calls < 3; calls++) {
      const { data } = await first.call('run_action', QUICK);
      expect(data).toMatchObject({ replayed: false, succeeded: true });
      ids.add(data.run.id);
    }
    await until('word that all were told', () => untold().length === 0);
    await kill9(first);
    const { data } = await (await serve()).call('run_action', QUICK);
    expect(data).toMatchObject({ replayed: false });
    expect(ids.add(data.run.id).size).toBe(4);
    expect(await ran()).toBe(4);
  });

  it('for another call, and for one with a key', async () => {
    await vanishedCall();
    const second = await serve();
    for (const other of [{ reason: 'another' }, { action: 'quick' }, { idempotency_key: 'key' }]) {
      const call = { ...CALL, ...other, allow_concurrent: true, wait_seconds: 0 };
      expect((await second.call('run_action', call)).data, JSON.stringify(other)).toMatchObject({
        replayed: false,
      });
    }
  });

  it('ten minutes later', async () => {
    const run_id = await vanishedCall();
    const second = await serve();
    await second.call('wait_for_action_run', { run_id, wait_seconds: 0 });
    await workspace.enough('block');
    await second.call('wait_for_action_run', { run_id, wait_seconds: 30 });
    const db = new Sqlite(join(home.path, 'ledger.db'));
    db.prepare('UPDATE untold SET at = at - ?').run(10 * MINUTE + 1);
    db.close();
    const later = await second.call('run_action', { ...CALL, wait_seconds: 30 });
    expect(later.data).toMatchObject({ replayed: false, succeeded: true });
  });

  it('for each of two that come at once: neither of their callers is gone', async () => {
    const first = await serve();
    const call = { ...QUICK, allow_concurrent: true };
    const both = await Promise.all([first.call('run_action', call), first.call('run_action', call)]);
    expect(both.map(({ data }) => data.replayed)).toEqual([false, false]);
    expect(await ran()).toBe(2);
  });
});
