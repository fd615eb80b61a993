import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { connect, MAIN, tempFolder, type Connection } from '../support/mcp.ts';
import { counted, counting, wholeLog } from '../support/numbered-log.ts';
import {
  describeWithOwnPostgres,
  ownPostgres,
  type OwnPostgresServer,
  type Place,
} from '../support/postgres.ts';
import { faultsOf } from '../support/recheck-chain.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { kill9, NOTHING, settledTraces, until } from '../support/traces.ts';

// prettier-ignore
const TARGET = { workspace: 'scripts', block: 'block' };

describeWithOwnPostgres('servers that share a ledger on PostgreSQL', () => {
  let server: OwnPostgresServer;
  let workspace: ScriptWorkspace;
  let place: Place;
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let replicas: Connection[];

  const rows = (sql: string): Promise<any[]> => server.query(sql.replaceAll('@', `${place.schema}.`));
  const replica = async (executor: 'docker' | 'local', more = {}): Promise<Connection> => {
    const env = { ...trusted(workspace, executor), POLYCRATE_MCP_DATABASE_URL: place.url, ...more };
    const one = await connect({ home: home.path, env });
    replicas.push(one);
    return one;
  };

  const command = (args: string[], more: Record<string, string>) => {
    const env = {
      PATH: process.env['PATH'],
      HOME: home.path,
      POLYCRATE_MCP_HOME: home.path,
      ...trusted(workspace, 'local'),
      ...more,
    };
    return spawnSync(process.execPath, [MAIN, ...args], { env, cwd: home.path, encoding: 'utf8' });
  };

  beforeAll(async () => {
    server = await ownPostgres();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    replicas = [];
    [place, home] = await Promise.all([server.place(), tempFolder('postgres')]);
    workspace = await scriptWorkspace({ block: { count: `${MARK}\n${counting()}`, fail: `${MARK}; echo why >&2; exit 3` } });
  }); // prettier-ignore
  afterEach(async () => {
    await workspace.enough('block');
    await Promise.all(replicas.map((one) => one.close().catch(() => undefined)));
    // A supervisor may have stayed behind; it ends with its run.
    await until('no lease', async () => (await rows('SELECT 1 FROM @leases')).length === 0);
    expect(faultsOf(await rows('SELECT * FROM @events ORDER BY seq'), await rows('SELECT * FROM @event_private'))).toEqual([]);
    await Promise.all([workspace.remove(), place.remove(), home.remove()]);
  }); // prettier-ignore

  describe('without containers', () => {
    it('one runs, the other waits, reads and keeps the block to one run', async () => {
      const [first, second] = await Promise.all([replica('local'), replica('local')]);
      const started = await first.call('run_action', { ...TARGET, action: 'count', wait_seconds: 0 });
      const run_id: string = started.data.run.id;
      const busy = await second.call('run_action', { ...TARGET, action: 'fail' });
      expect(busy.error).toMatchObject({ code: 'already_active' });
      const waiting = second.call('wait_for_action_run', { run_id, wait_seconds: 40 });
      await until('output', async () => (await second.call('read_action_run_log', { run_id })).data.total_lines > 20);
      await workspace.enough('block');
      expect((await waiting).data).toMatchObject({ finished: true, succeeded: true, run: { id: run_id } });
      const key = { ...TARGET, action: 'fail', idempotency_key: 'once', wait_seconds: 30 };
      const [one, other] = await Promise.all([first.call('run_action', key), second.call('run_action', key)]);
      expect(one.data.run.id).toBe(other.data.run.id);
      expect([one.data.replayed, other.data.replayed].sort()).toEqual([false, true]);
      expect(await workspace.written('marks/block')).toBe('ran\n'.repeat(2));
      const found = await second.call('search_action_runs', { workspace: 'scripts' });
      expect(found.data).toMatchObject({ total: 2, returned: 2 });
    }); // prettier-ignore

    it('and commands say where the ledger is without its password, and make no file for it', async () => {
      const url = server.through(place, { user: 'postgres', password: 'hunter2-geheim' });
      const env = { POLYCRATE_MCP_DATABASE_URL: url };
      expect(command(['ledger', 'verify'], env)).toMatchObject({ status: 1, stderr: expect.stringContaining('there is no ledger in postgres://') });
      const { data } = await (await replica('local', { ...env, POLYCRATE_MCP_TRAIL: 'off' })).call('get_status');
      expect(data.ledger).toMatchObject({ kind: 'postgres', location: expect.stringMatching(/^postgres:.*\/postgres$/), writable: true });
      const doctor = command(['doctor'], env);
      expect(doctor.stdout).toMatch(/ok +ledger postgres:.*: schema 1, 0 runs/);
      const verified = command(['ledger', 'verify'], env);
      expect(verified).toMatchObject({ status: 4, stdout: expect.stringContaining('0 events') });
      expect(JSON.stringify([data, doctor, verified])).not.toContain('hunter2');
      expect(existsSync(join(home.path, 'ledger.db'))).toBe(false);
    }); // prettier-ignore

    it('launch nothing while the database is away, and go on when it is back', async () => {
      const one = await replica('local');
      await one.call('get_status');
      await server.crash();
      const refused = await one.call('run_action', { ...TARGET, action: 'fail', wait_seconds: 30 });
      expect(refused.error).toMatchObject({ code: 'ledger_unavailable' });
      expect(await workspace.written('marks/block')).toBe('');
      await server.start();
      const { data } = await one.call('run_action', { ...TARGET, action: 'fail', wait_seconds: 30 });
      expect(data).toMatchObject({ finished: true, run: { status: 'failed', exit_code: 3 } });
      expect(await workspace.written('marks/block')).toBe('ran\n');
    });

    it('store the end of a run that ended while the database was away', async () => {
      const one = await replica('local');
      const started = await one.call('run_action', { ...TARGET, action: 'count', wait_seconds: 0 });
      await until('a start', async () => (await rows("SELECT 1 FROM @runs WHERE status = 'running'")).length);
      await server.crash();
      await workspace.enough('block');
      await until('its last line', async () => /\bend \d/.test(await storedLogs(home.path)));
      await server.start();
      const { data } = await one.call('wait_for_action_run', { run_id: started.data.run.id, wait_seconds: 40 });
      expect(data).toMatchObject({ finished: true, succeeded: true });
    }); // prettier-ignore
  });

  describeWithEngine('with containers', () => {
    it('one is killed in the middle of a run, the other follows it to its true end', async () => {
      const [first, second] = await Promise.all([replica('docker'), replica('docker')]);
      await second.call('get_status');
      const started = await first.call('run_action', { ...TARGET, action: 'count', wait_seconds: 0 });
      const run_id: string = started.data.run.id;
      await until('output', async () => (await second.call('read_action_run_log', { run_id })).data.total_lines > 20);
      await kill9(first);
      await until('an adoption', async () => (await rows("SELECT 1 FROM @events WHERE kind = 'run_adopted'")).length);
      await workspace.enough('block');
      const { data } = await second.call('wait_for_action_run', { run_id, wait_seconds: 40 });
      expect(data).toMatchObject({ finished: true, succeeded: true, run: { exit_code: 0 } });
      const log = await wholeLog(second, run_id);
      expect(log).toEqual(counted(Number(/^end (\d+)$/.exec(log.stdout.at(-1)!)![1])));
      expect(await workspace.written('marks/block')).toBe('ran\n');
    }); // prettier-ignore

    describe('of which one has another data folder', () => {
      let other: typeof home;
      const elsewhere = async (more = {}): Promise<Connection> => {
        const env = { ...trusted(workspace, 'docker'), POLYCRATE_MCP_DATABASE_URL: place.url, ...more };
        const one = await connect({ home: other.path, env });
        replicas.push(one);
        await one.call('get_status');
        return one;
      };
      /** A run in the middle of which its server is killed. */
      const left = async (): Promise<string> => {
        const first = await replica('docker');
        const started = await first.call('run_action', { ...TARGET, action: 'count', wait_seconds: 0 });
        await until(
          'a start',
          async () => (await rows("SELECT 1 FROM @runs WHERE status = 'running'")).length,
        );
        await kill9(first);
        return started.data.run.id;
      };
      beforeEach(async () => {
        other = await tempFolder('elsewhere');
      });
      afterEach(() => other.remove());

      it('leave a run to the folder where its files and its log are', async () => {
        const run_id = await left();
        const second = await elsewhere();
        const waited = await second.call('wait_for_action_run', { run_id, wait_seconds: 7 });
        expect(waited.data).toMatchObject({ finished: false, run: { status: 'running' } });
        const back = await replica('docker');
        await back.call('get_status');
        await workspace.enough('block');
        const { data } = await second.call('wait_for_action_run', { run_id, wait_seconds: 40 });
        expect(data).toMatchObject({ finished: true, succeeded: true, run: { exit_code: 0 } });
        const log = await wholeLog(back, run_id);
        expect(log).toEqual(counted(Number(/^end (\d+)$/.exec(log.stdout.at(-1)!)![1])));
      });

      it('close it as unknown once that is lost, and what is left of it goes when it comes back', async () => {
        const run_id = await left();
        // As if its lease had run out a while ago.
        await rows('UPDATE @leases SET expires_at = 1');
        const second = await elsewhere({ POLYCRATE_MCP_LOST_AFTER: '1s' });
        const { data } = await second.call('wait_for_action_run', { run_id, wait_seconds: 50 });
        expect(data).toMatchObject({ finished: true, run: { status: 'unknown', exit_code: null } });
        const { status_reason } = (await second.call('get_action_run', { run_id })).data.run;
        expect(status_reason).toContain('POLYCRATE_MCP_LOST_AFTER');
        const back = await replica('docker');
        await back.call('get_status');
        await workspace.enough('block');
        expect(await settledTraces(home.path, [back.pid])).toEqual(NOTHING);
      });
    });
  });
});

/** The logs of all runs, as they lie on the disk. */
async function storedLogs(home: string): Promise<string> {
  const logs = join(home, 'logs');
  const files = (await readdir(logs, { recursive: true })).filter((file) => file.endsWith('.log'));
  return (await Promise.all(files.map((file) => readFile(join(logs, file), 'latin1')))).join('\n');
}
