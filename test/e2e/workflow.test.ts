import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { createHomes, kill9, NOTHING, rows, settledTraces, until, watchEngine } from '../support/traces.ts';
import { writeWorkspace } from '../support/workspaces.ts';

// A workflow belongs to a supervisor as a run does: it goes on in order whatever becomes of its server, each step
// once, or it says what it did not do.

const homes = createHomes();
const roots: Awaited<ReturnType<typeof tempFolder>>[] = [];
afterAll(() => Promise.all([homes.removeAll(), ...roots.map(({ remove }) => remove())]));

const TRACE = 'echo "$POLYCRATE_BLOCK/$POLYCRATE_ACTION" >> "$POLYCRATE_WORKSPACE/trace"';
const HOLD = 'while [ ! -e "$POLYCRATE_WORKSPACE/go" ]; do sleep 0.05; done';

interface Scene {
  home: string;
  path: string;
  env: Record<string, string>;
  trace(): Promise<string[]>;
  /** Lets the step in the middle end. */
  go(): Promise<void>;
}

async function scene(executor: 'docker' | 'local', ledger: Record<string, string> = {}): Promise<Scene> {
  const [home, root] = await Promise.all([homes.make('workflow'), tempFolder('workflow-root')]);
  roots.push(root);
  const colon = TEST_IMAGE.lastIndexOf(':');
  const step = (name: string, block: string, action: string) => ({ name, block, action });
  const path = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: {
      config: { image: { reference: TEST_IMAGE.slice(0, colon), version: TEST_IMAGE.slice(colon + 1) } },
      workflows: [
        {
          name: 'release',
          steps: [step('one', 'app', 'first'), step('two', 'db', 'hold'), step('three', 'app', 'last')],
        },
      ],
    },
    blocks: {
      app: {
        actions: [
          { name: 'first', script: [TRACE] },
          { name: 'last', script: [TRACE, 'echo the end'] },
        ],
      },
      db: { actions: [{ name: 'hold', script: [TRACE, HOLD, 'echo over'] }] },
    },
    files: { 'blocks/app/notes.txt': 'as it was' },
  });
  return {
    home,
    path,
    env: {
      POLYCRATE_MCP_WORKSPACES: root.path,
      POLYCRATE_MCP_RUN_MODE: 'trusted',
      POLYCRATE_MCP_EXECUTOR: executor,
      POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
      POLYCRATE_MCP_LOG_LEVEL: 'error',
      ...ledger,
    },
    trace: async () =>
      (await readFile(join(path, 'trace'), 'utf8').catch(() => '')).split('\n').filter(Boolean),
    go: () => writeFile(join(path, 'go'), ''),
  };
}

const WHOLE = ['app/first', 'db/hold', 'app/last'];

/** Starts the workflow and waits until the step in the middle runs. */
async function toTheMiddle({ trace }: Scene, server: Connection, more = {}): Promise<string> {
  const { data } = await server.call('run_workflow', {
    workspace: 'shop',
    workflow: 'release',
    wait_seconds: 0,
    ...more,
  });
  await until('the second step', async () => (await trace()).length === 2);
  return data.run.id;
}

async function ended(server: Connection, run_id: string): Promise<any> {
  return (await server.call('wait_for_action_run', { run_id, wait_seconds: 50 })).data;
}

const SUCCESS = { status: 'success', exit_code: 0 };

/** What becomes of a workflow whose server is killed, whatever its ledger is made of. */
function crashStories(
  executors: ('docker' | 'local')[],
  make: (executor: 'docker' | 'local') => Promise<Scene>,
): void {
  it.each(executors)('goes on after kill -9 of its server on %s', async (executor) => {
    const at = await make(executor);
    const first = await connect(at);
    const run_id = await toTheMiddle(at, first);
    await kill9(first);
    const second = await connect(at);
    expect((await second.call('wait_for_action_run', { run_id, wait_seconds: 0 })).data.finished).toBe(false);
    await at.go();
    expect(await ended(second, run_id)).toMatchObject({
      succeeded: true,
      log_tail: ['the end'],
      steps: [SUCCESS, SUCCESS, SUCCESS],
    });
    expect(await at.trace()).toEqual(WHOLE);
    expect(await settledTraces(at.home, [second.pid])).toEqual(NOTHING);
    await second.close();
  });

  it('is told as unknown if nobody saw the end of a step', async () => {
    const at = await make('local');
    const first = await connect({ ...at, ownGroup: true });
    const run_id = await toTheMiddle(at, first);
    // Server, supervisor and the step itself.
    await kill9(first);
    const pids = await processesIn(at.path);
    expect(pids.length).toBeGreaterThan(1);
    for (const pid of pids) killIfThere(pid);
    const second = await connect(at);
    const data = await ended(second, run_id);
    expect(data).toMatchObject({
      succeeded: false,
      run: { status: 'unknown', status_reason: expect.stringMatching(/^nobody saw the end of step two/) },
      steps: [SUCCESS, { status: 'unknown' }, { run_id: null }],
    });
    expect(await at.trace()).toEqual(WHOLE.slice(0, 2));
    await second.close();
  });

  it('is cancelled in the middle, also by the server that comes after a crash', async () => {
    const at = await make('docker');
    const first = await connect(at);
    const run_id = await toTheMiddle(at, first);
    await kill9(first);
    const second = await connect(at);
    const { data } = await second.call('cancel_action_run', { run_id, reason: 'enough' });
    expect(data).toMatchObject({ finished: true, run: { status: 'cancelled' } });
    expect(data.steps).toMatchObject([SUCCESS, { status: 'cancelled' }, { run_id: null }]);
    expect(await at.trace()).toEqual(WHOLE.slice(0, 2));
    expect(await settledTraces(at.home, [second.pid])).toEqual(NOTHING);
    await second.close();
  });
}

describeWithEngine('a workflow in containers', () => {
  describe('with its ledger in SQLite', () =>
    crashStories(['docker', 'local'], (executor) => scene(executor)));

  describeWithPostgres('with its ledger in PostgreSQL', () => {
    let postgres: PostgresServer;
    const places: Place[] = [];
    beforeAll(async () => void (postgres = await usePostgres()));
    afterAll(async () => {
      for (const place of places) {
        // What the ledger itself says in the end: no lease is left, and no run is open.
        const open = await postgres.query(`SELECT run_id FROM ${place.schema}.leases`);
        expect(open).toEqual([]);
        await place.remove();
      }
      await postgres.stop();
    });
    crashStories(['docker'], async (executor) => {
      const place = await postgres.place();
      places.push(place);
      return scene(executor, { POLYCRATE_MCP_DATABASE_URL: place.url });
    });
  });

  it.each(['docker', 'local'] as const)('runs on %s', async (executor) => {
    const at = await scene(executor);
    const server = await connect(at);
    const engine = await watchEngine(at.home);
    await at.go();
    const { data } = await server.call('run_workflow', { workspace: 'shop', workflow: 'release', wait_seconds: 50 });
    expect(data).toMatchObject({ succeeded: true, log_tail: ['the end'], steps: [SUCCESS, SUCCESS, SUCCESS] });
    expect(await at.trace()).toEqual(WHOLE);
    expect(await settledTraces(at.home, [server.pid])).toEqual(NOTHING);
    expect(engine.count('start')).toBe(executor === 'docker' ? 3 : 0);
    engine.close();
    await server.close();
  }); // prettier-ignore

  it.each(['docker', 'local'] as const)('outlives its client on %s', async (executor) => {
    const at = await scene(executor);
    const first = await connect(at);
    const run_id = await toTheMiddle(at, first);
    await first.close();
    await at.go();
    // Without another server: the process that was left behind goes on.
    await until('the last step', async () => (await at.trace()).length === 3);
    const second = await connect(at);
    expect(await ended(second, run_id)).toMatchObject({
      succeeded: true,
      steps: [SUCCESS, SUCCESS, SUCCESS],
    });
    expect(await at.trace()).toEqual(WHOLE);
    expect(await settledTraces(at.home, [second.pid])).toEqual(NOTHING);
    await second.close();
  });

  it('does not go on after kill -9 if what is left to do has changed, and says so', async () => {
    const at = await scene('docker');
    const first = await connect(at);
    const run_id = await toTheMiddle(at, first);
    await kill9(first);
    await writeFile(join(at.path, 'blocks', 'app', 'notes.txt'), 'changed');
    const second = await connect(at);
    await second.call('get_status');
    await at.go();
    const data = await ended(second, run_id);
    expect(data).toMatchObject({
      succeeded: false,
      run: {
        status: 'failed',
        status_reason: expect.stringMatching(/step three was not started: plan_changed/),
      },
      steps: [SUCCESS, SUCCESS, { run_id: null, not_run: expect.stringContaining('plan_changed') }],
    });
    expect(await at.trace()).toEqual(WHOLE.slice(0, 2));
    expect(await settledTraces(at.home, [second.pid])).toEqual(NOTHING);
    await second.close();
  });

  it.each([0, 40, 120, 250, 400, 700])('killed %i ms after it was recorded runs no step twice and none untold', async (ms) => {
    const at = await scene('docker');
    await at.go();
    const first = await connect(at);
    await first.call('get_status');
    void first.call('run_workflow', { workspace: 'shop', workflow: 'release' }).catch(() => undefined);
    const run_id = await until('a record', () =>
      rows(at.home, "SELECT id FROM runs WHERE kind = 'workflow'")[0]?.['id'] as string | undefined);
    await new Promise((resolve) => setTimeout(resolve, ms));
    await kill9(first);
    const second = await connect(at);
    const data = await ended(second, run_id);
    const launched = [];
    for (const step of data.steps.filter((one: any) => one.run_id !== null)) {
      const { run } = (await second.call('get_action_run', { run_id: step.run_id })).data;
      if (run.launched) launched.push(`${run.block}/${run.action}`);
    }
    expect(await at.trace()).toEqual(launched);
    expect(launched).toEqual(WHOLE.slice(0, launched.length));
    if (data.succeeded) expect(launched).toEqual(WHOLE);
    else expect(data.steps.at(-1).not_run ?? data.steps.at(-1).status_reason).toMatch(/not launched|not started/);
    expect(await settledTraces(at.home, [second.pid])).toEqual(NOTHING);
    await second.close();
  }); // prettier-ignore
});

/** What only slept for a moment may be gone by itself. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Processes of ours, and of what we started, that were told of this workspace. */
async function processesIn(path: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(join('/proc', String(pid), 'environ'), 'utf8').catch(() => '');
      const home = path.slice(0, path.indexOf('/acme/'));
      return pid !== process.pid && text.includes(home) ? [pid] : [];
    }),
  );
  return found.flat();
}
