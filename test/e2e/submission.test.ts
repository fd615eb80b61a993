import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/adapters/host/host.ts';
import {
  API_KEY,
  READ_KEY,
  startContractServer,
  TLS_FOR_ALL,
  type ContractServer,
} from '../contract-server/start.ts';
import { ledgerEnvironment } from '../support/ledger-command.ts';
import { connect, MAIN, tempFolder, type Connection } from '../support/mcp.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';

const GATED = 'until [ -e "$POLYCRATE_WORKSPACE/enough/slow" ]; do sleep 0.05; done; echo went on';

let home: Awaited<ReturnType<typeof tempFolder>>;
let workspace: ScriptWorkspace;
let server: ContractServer;
let open: Connection[] = [];

async function setUp(tls = TLS_FOR_ALL): Promise<void> {
  [home, workspace, server] = await Promise.all([
    tempFolder('submission'),
    scriptWorkspace({ db: { restart: 'echo restarted; echo careful >&2', fail: 'exit 3' }, slow: { gated: GATED }, odd: { restart: 'true' } }),
    startContractServer({ tls }),
  ]);
  await server.seed('tests', { scripts: ['db', 'slow'] });
} // prettier-ignore
afterEach(async () => {
  await Promise.all(open.map((one) => one.close().catch(() => undefined)));
  open = [];
  expect(await server.violations().catch(() => [])).toEqual([]);
  await server.stop();
  await workspace.remove();
  await home.remove();
});

const settings = (more: Record<string, string> = {}): Record<string, string> => ({
  ...trusted(workspace, 'local'),
  HOME: home.path,
  POLYCRATE_API_ENABLED: 'true',
  POLYCRATE_API_URL: server.url,
  POLYCRATE_API_API_KEY: API_KEY,
  ...(server.caFile && { POLYCRATE_MCP_CA_FILE: server.caFile }),
  ...more,
});

async function serve(more: Record<string, string> = {}): Promise<Connection> {
  const connection = await connect({ home: home.path, env: settings(more) });
  open.push(connection);
  return connection;
}

async function run({ call }: Connection, action: string, more: Record<string, unknown> = {}): Promise<any> {
  const [block, name] = action.split('/');
  const { data, error } = await call('run_action', {
    workspace: 'scripts',
    block,
    action: name,
    wait_seconds: 20,
    ...more,
  });
  return error ?? data;
}

/** Looks until it is as wanted; ends with what it was instead. */
async function until<T>(look: () => Promise<T>, wanted: (seen: T) => boolean, ms = 20_000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const seen = await look();
    if (wanted(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`not in time, but: ${JSON.stringify(seen)}`);
    await systemClock.sleep(50);
  }
}

const record = async ({ call }: Connection, run_id: string): Promise<any> =>
  (await call('get_action_run', { run_id })).data.run;
const delivered = (connection: Connection, run_id: string): Promise<any> =>
  until(
    () => record(connection, run_id),
    ({ api }) => api?.submission === 'delivered',
  );
const operate = (args: string[], more: Record<string, string> = {}) =>
  spawnSync(process.execPath, [MAIN, ...args], {
    env: ledgerEnvironment(home.path, settings(more)),
    encoding: 'utf8',
  });

describe.each([false, true])('a run is reported to the Polycrate API (TLS: %s)', (tls) => {
  beforeEach(() => setUp(tls));

  it('while it goes on, and when it has ended', async () => {
    const client = await serve();
    const { run: started } = await run(client, 'slow/gated', { wait_seconds: 0, reason: 'a reason' });
    const [remote] = await until(
      () => server.runs(),
      (rows) => rows.length === 1,
    );
    expect(remote).toMatchObject({
      status: 'running',
      block_labels: JSON.stringify({ polycrate_mcp_run: started.id }),
    });
    await until(
      () => record(client, started.id),
      ({ api }) => api?.submission === 'started',
    );
    await workspace.enough('slow');
    const run_ = await delivered(client, started.id);
    expect(run_).toMatchObject({
      status: 'success',
      api: { endpoint: 'default', action_run_id: remote.id, url: expect.stringContaining(remote.id) },
      aliases: [{ source: 'api', endpoint: 'default', id: remote.id }],
    });
    expect((await record(client, remote.id)).id).toBe(started.id);
    const [row] = await server.runs();
    expect(row).toMatchObject({
      status: 'success',
      exit_code: 0,
      log_stdout: 'went on',
      log_stderr: null,
      block_version: '1.0.0',
    });
    const { polycrate_mcp } = JSON.parse(row.metadata);
    expect(polycrate_mcp).toMatchObject({
      run_id: started.id,
      reason: 'a reason',
      client: { name: 'test-client' },
      principal: { kind: 'os' },
      trigger: 'mcp',
      host: expect.any(String),
      os_user: expect.any(String),
      plan_digest: expect.any(String),
      checkpoint: { size: expect.any(Number), signature: expect.any(String) },
    });
    const verified = operate(['ledger', 'verify']);
    expect(verified.stdout).not.toContain('tampered');
    expect([0, 4]).toContain(verified.status);
  });

  it('with its log and code, also if it was short, failed or cancelled', async () => {
    const client = await serve();
    const short = (await run(client, 'db/restart')).run.id;
    const failed = (await run(client, 'db/fail')).run.id;
    const slow = (await run(client, 'slow/gated', { wait_seconds: 0 })).run.id;
    await until(
      () => record(client, slow),
      ({ api }) => api?.submission === 'started',
    );
    await client.call('cancel_action_run', { run_id: slow });
    for (const id of [short, failed, slow]) await delivered(client, id);
    const rows = await server.runs();
    const of = (id: string) => rows.filter(({ metadata }) => metadata.includes(id));
    expect([short, failed, slow].map((id) => of(id).length)).toEqual([1, 1, 1]);
    expect(of(short)[0]).toMatchObject({
      status: 'success',
      log_stdout: 'restarted',
      log_stderr: 'careful',
      exit_code: 0,
    });
    expect(of(failed)[0]).toMatchObject({ status: 'failed', exit_code: 3, log_stdout: null });
    expect(of(slow)[0]).toMatchObject({ status: 'cancelled' });
    expect(of(slow)[0].exit_code).not.toBe(0);
  });
});

describe('without the API', () => {
  beforeEach(() => setUp());

  it('a run is the same, waits in the outbox over restarts and kill -9, and is reported once', async () => {
    await server.crash();
    const first = await serve();
    const answer = await run(first, 'db/restart');
    expect(answer).toMatchObject({ succeeded: true, run: { status: 'success' } });
    const status = (await first.call('get_status')).data;
    expect(status.sources).toContainEqual(
      expect.objectContaining({ source: 'api', endpoint: 'default', submission: 'on' }),
    );
    expect(status.sources).toContainEqual(
      expect.objectContaining({ undelivered: expect.objectContaining({ waiting: 1, given_up: 0 }) }),
    );
    expect(operate(['outbox', 'list']).stdout).toContain(answer.run.id);
    process.kill(first.pid, 'SIGKILL');
    const second = await serve();
    const other = (await run(second, 'db/fail')).run.id;
    await second.close();
    await server.start();
    const third = await serve();
    await third.call('get_status');
    for (const id of [answer.run.id, other]) await delivered(third, id);
    expect((await server.runs()).map(({ status }) => status).sort()).toEqual(['failed', 'success']);
    expect(operate(['outbox', 'list']).stdout).toContain('Everything is delivered');
  });

  it('a run takes as long as with an API that is slow', async () => {
    const client = await serve();
    const time = async (): Promise<number> => {
      const began = performance.now();
      expect((await run(client, 'db/restart')).succeeded).toBe(true);
      return performance.now() - began;
    };
    const median = async (): Promise<number> => {
      const times = [await time(), await time(), await time(), await time(), await time()];
      return times.sort((a, b) => a - b)[2]!;
    };
    await time();
    const healthy = await median();
    await server.faults([{ kind: 'hang', times: 1_000 }]);
    const slow = await median();
    await server.crash();
    const down = await median();
    // Neither waits for an answer, which takes at least the 15 seconds of a time limit.
    expect(slow).toBeLessThan(healthy + 1_500);
    expect(down).toBeLessThan(healthy + 1_500);
  });

  it('a report whose answer was lost when the server was killed is found again, not repeated', async () => {
    const client = await serve();
    const { id } = (await run(client, 'slow/gated', { wait_seconds: 0 })).run;
    await until(
      () => record(client, id),
      ({ api }) => api?.submission === 'started',
    );
    await server.faults([
      { kind: 'lost_reply', match: { path: 'finish' }, times: 1 },
      { kind: 'hang', times: 500 },
    ]);
    await workspace.enough('slow');
    await until(
      () => server.runs(),
      ([row]) => row.status === 'success',
    );
    process.kill(client.pid, 'SIGKILL');
    await server.faults([]);
    const next = await serve();
    await next.call('get_status');
    await until(
      () => record(next, id),
      ({ api }) => api?.submission === 'delivered',
      45_000,
    );
    expect(await server.runs()).toHaveLength(1);
  });
});

describe('what the API refuses', () => {
  beforeEach(() => setUp());

  it('is given up, shown, and tried again by an operator', async () => {
    const client = await serve();
    const { id } = (await run(client, 'odd/restart')).run;
    await until(
      () => record(client, id),
      ({ api }) => api?.submission === 'failed',
    );
    const { relations } = (await client.call('get_action_run', { run_id: id })).data;
    expect(relations.undelivered).toMatchObject({
      state: 'dead',
      problem: expect.stringContaining('404'),
      next_attempt_at: null,
    });
    const listed = operate(['outbox', 'list']);
    expect(listed.stdout).toMatch(new RegExp(`${id}.*given up`));
    expect(listed.stdout).toContain('404');
    const doctor = operate(['doctor']);
    expect(doctor.stdout).toContain('1 run could not be reported');
    expect(doctor.stdout).toContain('answers: 1 organization, runs are reported');
    expect(doctor.stdout).toMatch(
      /ok +history from the Polycrate API default: \d+ runs?, as of \d+ minutes? ago/,
    );
    const { sources } = (await client.call('get_status')).data;
    expect(sources).toContainEqual(
      expect.objectContaining({ undelivered: expect.objectContaining({ given_up: 1 }) }),
    );
    await server.seed('tests', { scripts: ['odd'] });
    expect(operate(['outbox', 'retry', '--run', 'unknown'])).toMatchObject({ status: 1 });
    const retried = operate(['outbox', 'retry', '--run', id]);
    expect(retried).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('1 report will be tried again'),
    });
    await delivered(client, id);
    expect(await server.runs()).toHaveLength(1);
  });

  it('a key that can only read is told, and nothing is lost', async () => {
    const client = await serve({ POLYCRATE_API_API_KEY: READ_KEY });
    const { id } = (await run(client, 'db/restart')).run;
    const [row] = await until(
      async () => JSON.parse(operate(['outbox', 'list', '--json']).stdout) as any[],
      (rows) => rows[0]?.attempts > 0,
    );
    expect(row).toMatchObject({ run_id: id, state: expect.stringMatching(/waiting|one_shot/), problem: expect.stringContaining('403') });
    await client.close();
    const doctor = operate(['doctor'], { POLYCRATE_API_API_KEY: 'wrong-key' }).stdout;
    expect(doctor).toMatch(/problem .*401/);
    expect(doctor).toMatch(/ok +1 run to be reported/);
    const mended = await serve();
    await mended.call('get_status');
    await delivered(mended, id);
  }); // prettier-ignore

  it('an older server gets each run when it is over', async () => {
    await server.settings({ one_shot_only: true });
    const client = await serve();
    const { id } = (await run(client, 'slow/gated', { wait_seconds: 0 })).run;
    await until(
      () => server.requests(),
      (asked) => asked.some(({ path }) => path.endsWith('/start/')),
    );
    await workspace.enough('slow');
    await delivered(client, id);
    expect(await server.runs()).toMatchObject([{ status: 'success', block_labels: null }]);
  });
});

describe("somebody else's open run at the API", () => {
  beforeEach(async () => {
    await setUp();
    const place = { organization: 'tests', workspace: 'scripts', block: 'slow' };
    await server.addRuns([
      {
        ...place,
        action: 'gated',
        status: 'running',
        started_at: '2026-11-20T10:00:00Z',
        username: 'somebody',
      },
    ]);
  });

  const runOn = async (client: Connection): Promise<string> => {
    const { id } = (await run(client, 'slow/gated', { wait_seconds: 0 })).run;
    return id;
  };

  it('is noted, and ours is reported when it is over', async () => {
    const client = await serve();
    const [foreign] = await server.runs();
    const plan = await client.call('plan_action', { workspace: 'scripts', block: 'slow', action: 'gated' });
    expect(plan.data.plan.warnings).toContainEqual(
      expect.stringMatching(/open run of this block since 2026-11-20T10:00:00.000Z by somebody/),
    );
    const id = await runOn(client);
    await until(
      () => record(client, id),
      ({ api }) => api?.submission === 'conflict' && api.conflict === foreign.id,
    );
    await workspace.enough('slow');
    expect((await delivered(client, id)).api.conflict).toBe(foreign.id);
    expect((await server.runs()).map(({ status }) => status)).toEqual(['running', 'success']);
  });

  it('keeps ours from starting, where the operator says so', async () => {
    const client = await serve({ POLYCRATE_MCP_ON_REMOTE_CONFLICT: 'refuse' });
    const [foreign] = await server.runs();
    expect(await run(client, 'slow/gated')).toMatchObject({
      code: 'already_active',
      details: { action_run_id: foreign.id },
    });
    expect((await run(client, 'db/restart')).succeeded).toBe(true);
    await server.faults([{ kind: 'hang', times: 100 }]);
    const began = performance.now();
    const id = await runOn(client);
    expect(performance.now() - began).toBeLessThan(4_000);
    await workspace.enough('slow');
    expect(id).toBeTruthy();
  });

  it('is cancelled there, where the operator says so', async () => {
    const client = await serve({ POLYCRATE_MCP_ON_REMOTE_CONFLICT: 'force' });
    const id = await runOn(client);
    await until(
      () => record(client, id),
      ({ api }) => api?.submission === 'started',
    );
    await workspace.enough('slow');
    await delivered(client, id);
    expect((await server.runs()).map(({ status }) => status)).toEqual(['cancelled', 'success']);
  });
});

describe('nothing is reported', () => {
  beforeEach(() => setUp());

  it.each<Record<string, string>>([
    { POLYCRATE_MCP_SUBMIT: 'none' },
    { POLYCRATE_MCP_SUBMIT: 'tests/other' },
    { POLYCRATE_API_SUBMIT_ACTION_RUNS: 'false' },
    { POLYCRATE_API_ENABLED: 'false' },
  ])('with %j', async (more) => {
    const client = await serve(more);
    const { run: done } = await run(client, 'db/restart');
    expect((await record(client, done.id)).api).toBeNull();
    expect(operate(['outbox', 'list'], more).stdout).toContain('Everything is delivered');
    await client.close();
    expect(await server.runs()).toEqual([]);
  });
});
