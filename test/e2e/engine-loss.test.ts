import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { openEngineProxy, type EngineProxy } from '../support/engine-proxy.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { counted, counting, wholeLog } from '../support/numbered-log.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { kill9, NOTHING, settledTraces, until } from '../support/traces.ts';

/** An engine that cannot be reached says nothing about a run: it stays open until somebody can look. */
describeWithEngine('an engine that goes away in mid-run', () => {
  let workspace: ScriptWorkspace;
  let proxy: EngineProxy;
  let home: Awaited<ReturnType<typeof tempFolder>>;

  beforeAll(async () => {
    workspace = await scriptWorkspace({ steady: { count: counting() }, second: { count: counting() } });
    proxy = await openEngineProxy('/var/run/docker.sock');
    home = await tempFolder('engine-loss');
  });

  afterAll(async () => {
    await proxy.close();
    await workspace.remove();
    await home.remove();
  });

  const server = (): Promise<Connection> =>
    connect({ home: home.path, env: { ...trusted(workspace), DOCKER_HOST: proxy.address } });

  const start = async ({ call }: Connection, block: string): Promise<string> => {
    const { data } = await call('run_action', {
      workspace: 'scripts',
      block,
      action: 'count',
      wait_seconds: 0,
    });
    const run_id = data.run.id as string;
    await until(
      'some output',
      async () => (await call('read_action_run_log', { run_id })).data.total_lines > 10,
    );
    return run_id;
  };

  const finish = async (
    connection: Connection,
    { block, run_id }: { block: string; run_id: string },
  ): Promise<void> => {
    await workspace.enough(block);
    await until('the end of the run', async () => {
      const { data } = await connection.call('wait_for_action_run', { run_id, wait_seconds: 20 });
      return data.finished;
    });
    const { data } = await connection.call('get_action_run', { run_id });
    expect(data.run).toMatchObject({ status: 'success', exit_code: 0, log: { gap: null } });
    const log = await wholeLog(connection, run_id);
    const last = Number(/^end (\d+)$/.exec(log.stdout.at(-1) ?? '')?.[1]);
    expect(log).toEqual(counted(last));
  };

  it('is waited for, and the log has every line once', async () => {
    const connection = await server();
    const run_id = await start(connection, 'steady');
    proxy.cut();
    expect((await connection.call('wait_for_action_run', { run_id, wait_seconds: 1 })).data).toMatchObject({
      finished: false,
      succeeded: null,
      run: { status: 'running' },
    });
    proxy.restore();
    await finish(connection, { block: 'steady', run_id });
    await connection.close();
    expect(await settledTraces(home.path)).toEqual(NOTHING);
  });

  it('keeps the run open although its server was killed too, and the next one adopts it later', async () => {
    const first = await server();
    const run_id = await start(first, 'second');
    proxy.cut();
    await kill9(first);
    const next = await server();
    expect((await next.call('wait_for_action_run', { run_id, wait_seconds: 2 })).data).toMatchObject({
      finished: false,
      run: { status: 'running' },
    });
    const refused = await next.call('run_action', { workspace: 'scripts', block: 'steady', action: 'count' });
    expect(refused.error).toMatchObject({ code: 'engine_unavailable' });
    proxy.restore();
    await finish(next, { block: 'second', run_id });
    await next.close();
    expect(await settledTraces(home.path)).toEqual(NOTHING);
  });
});
