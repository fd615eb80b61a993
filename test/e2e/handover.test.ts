import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { openGatedRegistry } from '../support/gated-registry.ts';
import { connect, type Connection } from '../support/mcp.ts';
import { counted, counting, wholeLog } from '../support/numbered-log.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { createHomes, kill9, NOTHING, rows, settledTraces, until } from '../support/traces.ts';

// A run belongs to its supervisor: whatever happens to the client or the server, it goes on to its true end.

const homes = createHomes();
afterAll(() => homes.removeAll());

const BLOCKS = [
  'docker-closed',
  'docker-told',
  'local-closed',
  'local-told',
  'local-killed',
  'cancelled',
] as const;

describeWithEngine('a run outlives', () => {
  let workspace: ScriptWorkspace;
  beforeAll(async () => {
    workspace = await scriptWorkspace(
      Object.fromEntries(BLOCKS.map((block) => [block, { count: `${MARK}\n${counting()}` }])),
    );
  });
  afterAll(() => workspace.remove());

  describe.concurrent.each(['docker', 'local'] as const)('on %s', (executor) => {
    it('its client, which closes', async () => {
      await outlives(`${executor}-closed`, (first) => first.close());
    });
    it('its server, which is told to end', async () => {
      await outlives(`${executor}-told`, async (first) => {
        const closed = new Promise<void>((resolve) => (first.client.onclose = resolve));
        process.kill(first.pid, 'SIGTERM');
        await closed;
      });
    });
  });

  it.concurrent('the process group of its server, if it runs on this host', async () => {
    await outlives('local-killed', (first) => kill9(first, 'group'), { ownGroup: true });
  });

  it.concurrent('its server, which is killed, and the first word of the next one stops it', async () => {
    const home = await homes.make('handover');
    const server = { home, env: trusted(workspace, 'docker') };
    const first = await connect(server);
    const target = { workspace: 'scripts', block: 'cancelled', action: 'count', wait_seconds: 0 };
    const run_id: string = (await first.call('run_action', target)).data.run.id;
    await until('output', () => logged(first, run_id, 1));
    await kill9(first);
    const second = await connect(server);
    // Taking over and being told to stop happen at the same time.
    const { data } = await second.call('cancel_action_run', { run_id });
    expect(data).toMatchObject({ finished: true, run: { status: 'cancelled', exit_code: 143 } });
    await second.close();
    expect(await settledTraces(home, [])).toEqual(NOTHING);
  });

  /** Starts a run, ends its server in the middle, and follows the run through another one. */
  async function outlives(
    block: (typeof BLOCKS)[number],
    end: (first: Connection) => Promise<void>,
    { ownGroup = false } = {},
  ): Promise<void> {
    const home = await homes.make('handover');
    const server = {
      home,
      env: trusted(workspace, block.startsWith('docker') ? 'docker' : 'local'),
    };
    const first = await connect({ ...server, ownGroup });
    const target = { workspace: 'scripts', block, action: 'count', wait_seconds: 0 };
    const run_id: string = (await first.call('run_action', target)).data.run.id;
    const before = await until('output before', () => logged(first, run_id, 20));
    await end(first);

    const second = await connect(server);
    const found = await second.call('search_action_runs', { status: 'running' });
    expect(found.data.runs.map(({ id }: { id: string }) => id)).toEqual([run_id]);
    await until('output afterwards', () => logged(second, run_id, before + 20));
    await workspace.enough(block);
    const ended = await second.call('wait_for_action_run', { run_id, wait_seconds: 30 });
    const last = Number(/^end (\d+)$/.exec(ended.data.log_tail.at(-1))?.[1]);
    expect(ended.data).toMatchObject({ succeeded: true, run: { exit_code: 0, log_lines: last + 1 } });
    expect(await wholeLog(second, run_id)).toEqual(counted(last));
    const { data } = await second.call('get_action_run', { run_id });
    expect(data.run.log.gap).toBeNull();
    expect(data.run.duration_ms).toBeGreaterThan(20 * last);
    expect(await workspace.written(`marks/${block}`)).toBe('ran\n');
    expect(await settledTraces(home, [second.pid])).toEqual(NOTHING);
    await second.close();
  }

  /** How many lines are stored; null as long as there are not more than these. */
  async function logged({ call }: Connection, run_id: string, more_than: number): Promise<number | null> {
    const { data } = await call('read_action_run_log', { run_id, lines: 1 });
    return data.total_lines > more_than ? data.total_lines : null;
  }
});

describeWithEngine('a client that closes in the middle of a launch', () => {
  const blocks = [0, 8, 20, 45, 90].map((ms) => ({ ms, block: `after-${ms}` }));
  let workspace: ScriptWorkspace;
  beforeAll(async () => {
    const script = { run: `${MARK}; echo here` };
    workspace = await scriptWorkspace(Object.fromEntries(blocks.map(({ block }) => [block, script])));
  });
  afterAll(() => workspace.remove());

  it.concurrent.each(blocks)(
    '$ms ms after the intent was stored has started it once',
    async ({ ms, block }) => {
      const home = await homes.make('launching');
      const server = { home, env: trusted(workspace) };
      const first = await connect(server);
      await first.call('get_status');
      void first.call('run_action', { workspace: 'scripts', block, action: 'run' }).catch(() => undefined);
      const run_id = await until('an intent', () => rows(home, 'SELECT id FROM runs')[0]?.['id'] as string);
      await pause(ms);
      await first.close();
      const second = await connect(server);
      const ended = await second.call('wait_for_action_run', { run_id, wait_seconds: 30 });
      expect(ended.data).toMatchObject({ succeeded: true, run: { exit_code: 0 }, log_tail: ['here'] });
      expect(await workspace.written(`marks/${block}`)).toBe('ran\n');
      expect(await settledTraces(home, [second.pid])).toEqual(NOTHING);
      await second.close();
    },
  );
});

describeWithEngine('a run whose image is still being pulled', () => {
  it('is pulled and started once by whoever supervises it next', async () => {
    const [home, registry] = await Promise.all([homes.make('pulling'), openGatedRegistry()]);
    const workspace = await scriptWorkspace({ pulled: { run: `${MARK}; echo here` } }, registry.image);
    const server = { home, env: trusted(workspace) };
    const first = await connect(server);
    const target = { workspace: 'scripts', block: 'pulled', action: 'run', wait_seconds: 0 };
    const { data } = await first.call('run_action', target);
    const run_id: string = data.run.id;
    expect(data).toMatchObject({ finished: false, launched: false, run: { status: 'pending' } });
    await registry.asked;
    await first.close();
    expect(rows(home, 'SELECT status, launched FROM runs')).toEqual([{ status: 'pending', launched: 0 }]);

    const second = await connect(server);
    registry.open();
    const ended = await second.call('wait_for_action_run', { run_id, wait_seconds: 30 });
    expect(ended.data).toMatchObject({ succeeded: true, log_tail: ['here'] });
    expect(await workspace.written('marks/pulled')).toBe('ran\n');
    expect(await settledTraces(home, [second.pid])).toEqual(NOTHING);
    await second.close();
    await Promise.all([registry.close(), workspace.remove()]);
  });
});
