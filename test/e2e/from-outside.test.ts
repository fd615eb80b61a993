import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { connect, type Connection } from '../support/mcp.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { createHomes, NOTHING, rows, settledTraces, until } from '../support/traces.ts';

// What others do to a run behind our back, and what two servers on one home do to each other's runs.

const BUSY = 'echo ready; while :; do sleep 0.05; done';
/** Ignores that nobody reads its output any more, as a real program does that writes none. */
const LINGERING = `echo ready; for ((i = 0; i < 20; i++)); do sleep 0.1; done; touch "$POLYCRATE_WORKSPACE/lingered"`;

let workspace: ScriptWorkspace;
const homes = createHomes();
let home: string;
beforeAll(async () => {
  workspace = await scriptWorkspace({ busy: { run: BUSY }, lingering: { run: LINGERING } });
});
afterAll(async () => {
  await homes.removeAll();
  await workspace.remove();
});
beforeEach(async () => {
  home = await homes.make('outside');
});

async function startReady(server: Connection, block: string): Promise<string> {
  const target = { workspace: 'scripts', block, action: 'run', wait_seconds: 0 };
  const { data } = await server.call('run_action', target);
  const run_id: string = data.run.id;
  await until('it to be ready', async () => {
    const log = await server.call('read_action_run_log', { run_id });
    return log.data.total_lines > 0;
  });
  return run_id;
}

const supervisorOf = (): number =>
  (JSON.parse(rows(home, 'SELECT owner FROM leases')[0]!['owner'] as string) as { pid: number }).pid;

describeWithEngine('with containers', () => {
  const docker = new Docker();

  it.each([
    ['kills', 'kill', { status: 'failed', exit_code: 137, launched: true }],
    ['removes', 'remove', { status: 'unknown', exit_code: null, launched: true }],
  ] as const)('a container that somebody else %s is recorded as it was seen', async (_what, how, seen) => {
    const server = await connect({ home, env: trusted(workspace) });
    const run_id = await startReady(server, 'busy');
    // Output may be stored a moment before the start is.
    const id = await until('the container of the record', async () => {
      const { data } = await server.call('get_action_run', { run_id });
      return data.run.executor.container as string | null;
    });
    const container = docker.getContainer(id);
    await (how === 'kill' ? container.kill() : container.remove({ force: true }));
    await server.call('wait_for_action_run', { run_id });
    const { run } = (await server.call('get_action_run', { run_id })).data;
    expect(run).toMatchObject({ ...seen, log: { lines: 1 } });
    if (how === 'remove') expect(run.status_reason).toContain('removed by somebody else');
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
    await server.close();
  });

  it("a living server's run is neither taken over nor closed by its sibling", async () => {
    const options = { home, env: trusted(workspace) };
    const [first, second] = await Promise.all([connect(options), connect(options)]);
    const run_id = await startReady(first, 'busy');
    // Whoever finds a run in the way looks for orphans at once.
    const target = { workspace: 'scripts', block: 'busy', action: 'run', wait_seconds: 0 };
    const refused = await second.call('run_action', target);
    expect(refused.error).toMatchObject({ code: 'already_active', details: { run_id } });
    expect(supervisorOf()).toBe(first.pid);
    expect(rows(home, 'SELECT fence FROM leases')).toEqual([{ fence: 1 }]);
    await second.close();
    const cancelled = await first.call('cancel_action_run', { run_id });
    expect(cancelled.data).toMatchObject({ finished: true, run: { status: 'cancelled' } });
    expect(rows(home, "SELECT kind FROM events WHERE kind = 'run_adopted'")).toEqual([]);
    await first.close();
  });
});

describe('on this host', () => {
  it('the end of a run whose supervisor was killed is unknown, and known only when nothing of it is left', async () => {
    const server = await connect({ home, env: trusted(workspace, 'local') });
    const run_id = await startReady(server, 'lingering');
    process.kill(supervisorOf(), 'SIGKILL');
    const ended = await server.call('wait_for_action_run', { run_id, wait_seconds: 30 });
    expect(ended.data).toMatchObject({
      finished: true,
      succeeded: false,
      run: { status: 'unknown', exit_code: null },
    });
    expect(ended.data.run.status_reason).toContain('its supervisor was killed');
    const { run } = (await server.call('get_action_run', { run_id })).data;
    const lingered = await stat(join(workspace.path, 'lingered'));
    expect(Date.parse(run.finished_at)).toBeGreaterThanOrEqual(Math.floor(lingered.mtimeMs));
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
    await server.close();
  });
});
