import { execFileSync } from 'node:child_process';
import { appendFile, open, rm, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { itWithEngine } from '../support/engine.ts';
import { fakeFaults, type FakeFaults } from '../support/fake-faults.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { counting } from '../support/numbered-log.ts';
import { faultsOf } from '../support/recheck-chain.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { kill9, NOTHING, rows, settledTraces, traces, until } from '../support/traces.ts';
import { codeOf } from '../../src/shared/errors.ts';

// The rows of src/runs/FAULTS.md for the ledger in a file: what the caller sees, what the ledger holds, and that
// nothing runs without an intent.

const TWO_HOURS = 7_200_000;
const isRoot = process.getuid?.() === 0;

let home: Awaited<ReturnType<typeof tempFolder>>;
let workspace: ScriptWorkspace;
let faults: FakeFaults;
let servers: Connection[];

beforeEach(async () => {
  [home, faults, servers] = [await tempFolder('ledger-faults'), await fakeFaults(), []];
  workspace = await scriptWorkspace({ block: { count: `${MARK}\n${counting()}\nexit 3`, quick: `${MARK}; echo done` } });
}); // prettier-ignore
afterEach(async () => {
  await workspace.enough('block');
  await Promise.all(servers.map((one) => one.close().catch(() => undefined)));
  await Promise.all([workspace.remove(), home.remove(), faults.remove()]);
});

async function serve(executor: 'docker' | 'local' = 'local'): Promise<Connection> {
  const one = await connect({ home: home.path, env: { ...trusted(workspace, executor), ...faults.env } });
  servers.push(one);
  return one;
}

const CALL = { workspace: 'scripts', block: 'block', action: 'count', wait_seconds: 0 };
const QUICK = { ...CALL, action: 'quick', wait_seconds: 30 };
const ran = async (): Promise<number> => (await workspace.written('marks/block')).split('\n').length - 1;
const chainFaults = (): string[] =>
  faultsOf(rows(home.path, 'SELECT * FROM events ORDER BY seq') as any, rows(home.path, 'SELECT * FROM event_private') as any); // prettier-ignore

async function expectRefusal({ call }: Connection, words: RegExp): Promise<void> {
  const { error } = await call('run_action', QUICK);
  expect(error).toMatchObject({ code: 'ledger_unavailable', message: expect.stringMatching(words) });
  expect(await ran()).toBe(0);
}

async function expectSuccess({ call }: Connection): Promise<void> {
  const before = await ran();
  expect((await call('run_action', QUICK)).data).toMatchObject({ succeeded: true, replayed: false });
  expect(await ran()).toBe(before + 1);
  expect(chainFaults()).toEqual([]);
}

/** A run that has begun, and its id. */
async function started({ call }: Connection): Promise<string> {
  const { data } = await call('run_action', CALL);
  await until('a start', () => rows(home.path, "SELECT 1 FROM runs WHERE status = 'running'").length);
  await until('the action', ran);
  return data.run.id;
}

describe('an intent that cannot be stored launches nothing', () => {
  it('as syncing fails (fake); what may lie on the disk all the same is closed as not launched', async () => {
    const first = await serve();
    await first.call('get_status');
    await faults.on('fsync-fails');
    await expectRefusal(first, /cannot be used: disk I\/O error/);
    await kill9(first);
    await faults.off('fsync-fails');
    const second = await serve();
    await second.call('get_status');
    await until('no open run', () => rows(home.path, "SELECT 1 FROM runs WHERE status = 'pending'").length === 0);
    expect(rows(home.path, 'SELECT 1 FROM runs WHERE launched = 1')).toEqual([]);
    expect(await ran()).toBe(0);
    const known = rows(home.path, 'SELECT id FROM runs')[0]?.['id'];
    if (known) {
      // Nobody was told of it, so it is what the next call that is the same gets to know.
      const { data } = await second.call('run_action', QUICK);
      expect(data).toMatchObject({ replayed: true, launched: false, run: { id: known, status: 'failed' } });
    }
    await expectSuccess(second);
  }); // prettier-ignore

  it('as another process holds the lock for too long; it works again when that lets go', async () => {
    const server = await serve();
    await server.call('get_status');
    const other = new Sqlite(join(home.path, 'ledger.db'));
    other.exec('BEGIN IMMEDIATE');
    await expectRefusal(server, /cannot be used: database is locked/);
    other.exec('ROLLBACK');
    other.close();
    await expectSuccess(server);
  });

  it.each([
    ['beginning', 0, /cannot be used: file is not a database/],
    ['second page', 4096, /cannot be used: database disk image is malformed/],
  ])('as the %s of the file is corrupt', async (_, position, words) => {
    const first = await serve();
    await first.call('get_status');
    await first.close();
    const file = await open(join(home.path, 'ledger.db'), 'r+');
    await file.write(Buffer.alloc(4096, 0xa5), 0, 4096, position);
    await file.close();
    await expectRefusal(await serve(), words);
  });

  describe.runIf(isRoot)('on a disk of its own', () => {
    beforeEach(() => execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', home.path]));
    afterEach(() => execFileSync('umount', ['-l', home.path]));

    it('that is read-only', async () => {
      const first = await serve();
      await first.call('get_status');
      await first.close();
      execFileSync('mount', ['-o', 'remount,ro', home.path]);
      const second = await serve();
      await expectRefusal(second, /cannot be used: /);
      execFileSync('mount', ['-o', 'remount,rw', home.path]);
      await expectSuccess(second);
    });

    itWithEngine(
      'that is full when a run ends: the container stays, and the next process stores its end',
      async () => {
        const first = await serve('docker');
        const run_id = await started(first);
        await fillUp(join(home.path, 'ballast'));
        await workspace.enough('block');
        await until('the end', async () => /exited/.test((await traces(home.path)).containers.join()));
        const waited = await first.call('wait_for_action_run', { run_id, wait_seconds: 2 });
        expect(waited.data).toMatchObject({ finished: false });
        expect((await traces(home.path)).containers).toHaveLength(1);
        await kill9(first);
        await rm(join(home.path, 'ballast'));
        const second = await serve('docker');
        const ended = await second.call('wait_for_action_run', { run_id, wait_seconds: 30 });
        expect(ended.data).toMatchObject({ finished: true, run: { status: 'failed', exit_code: 3 } });
        expect(await settledTraces(home.path, [second.pid])).toEqual(NOTHING);
        expect(await ran()).toBe(1);
        expect(chainFaults()).toEqual([]);
      },
    );
  });
});

it('an end that cannot be stored, as syncing fails (fake), is stored when that is over', async () => {
  const server = await serve();
  const run_id = await started(server);
  await faults.on('fsync-fails');
  await workspace.enough('block');
  const waited = await server.call('wait_for_action_run', { run_id, wait_seconds: 3 });
  expect(waited.data).toMatchObject({ finished: false, run: { status: 'running' } });
  await faults.off('fsync-fails');
  const ended = await server.call('wait_for_action_run', { run_id, wait_seconds: 30 });
  expect(ended.data).toMatchObject({ finished: true, run: { status: 'failed', exit_code: 3 } });
  expect(chainFaults()).toEqual([]);
});

describe('a clock that is set back by two hours (fake)', () => {
  it('in mid-run changes no order, makes no time negative, prolongs no wait, and loses no lease', async () => {
    const server = await serve('local');
    const run_id = await started(server);
    const [lease] = rows(home.path, 'SELECT owner, fence FROM leases');
    const began = performance.now();
    const waiting = server.call('wait_for_action_run', { run_id, wait_seconds: 3 }, { timeout: 20_000 });
    await faults.on('clock-back');
    expect((await waiting).data).toMatchObject({ finished: false });
    expect(performance.now() - began).toBeLessThan(10_000);
    const sibling = await connect({ home: home.path, env: trusted(workspace, 'local') });
    servers.push(sibling);
    const refused = await sibling.call('run_action', QUICK);
    expect(refused.error).toMatchObject({ code: 'already_active' });
    expect(rows(home.path, 'SELECT owner, fence FROM leases')).toEqual([lease]);
    await workspace.enough('block');
    const { data } = await server.call('wait_for_action_run', { run_id, wait_seconds: 30 });
    expect(data).toMatchObject({ finished: true, run: { status: 'failed', exit_code: 3 } });
    expect(data.run.duration_ms).toBeGreaterThanOrEqual(0);
    const events = rows(home.path, "SELECT kind, at FROM events WHERE run_id <> '' ORDER BY seq");
    expect(events.map(({ kind }) => kind)).toEqual(['run_requested', 'run_started', 'run_finished']);
    expect(events[2]!['at']).toBeLessThan(events[0]!['at'] - TWO_HOURS / 2);
    await expectSuccess(server);
  });

  it('does not make an idempotency key new', async () => {
    const server = await serve();
    const call = { ...QUICK, idempotency_key: 'once' };
    const first = await server.call('run_action', call);
    await faults.on('clock-back');
    const again = await server.call('run_action', call);
    expect(again.data).toMatchObject({
      replayed: true,
      replayed_age_seconds: 0,
      run: { id: first.data.run.id },
    });
    expect(await ran()).toBe(1);
  });
});

/** Takes all the space there is; what others take meanwhile is no matter. */
async function fillUp(file: string): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(file));
  for (let size = bavail * bsize; size >= 1; size = Math.floor(size / 2)) {
    await appendFile(file, Buffer.alloc(size)).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOSPC') throw error;
    });
  }
}
