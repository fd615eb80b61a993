import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { itWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { installFakePolycrate, type FakePolycrate, type Release } from '../support/fake-polycrate.ts';
import { connect, tempFolder, type Answer, type Connection, type ConnectOptions } from '../support/mcp.ts';
import { kill9, NOTHING, processesOf, settledTraces, until } from '../support/traces.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Runs that the installed Polycrate CLI executes. The CLI is a fake (test/support/fake-polycrate.mjs).

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let workspace: string;
let fake: FakePolycrate;
let server: Connection | null;

beforeEach(async () => {
  server = null;
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  workspace = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: { extraenv: ['OF_THE_WORKSPACE=1'] },
    blocks: {
      db: {
        version: '1.0.0',
        config: { password: 'correct-horse' },
        actions: [
          script('hello', 'echo to-stdout', 'echo to-stderr >&2'),
          script('fail', 'echo broken', 'exit 7'),
          script('leak', 'echo correct-horse'),
          script('forever', 'echo started', 'sleep 600'),
          { ...script('asks', 'echo asked-and-answered'), prompt: { message: 'Really?' } },
        ],
      },
    },
  });
});
afterEach(async () => {
  await server?.close();
  await fake.remove();
  await Promise.all([home.remove(), root.remove()]);
});

const start = async (release: Release = {}, options: Partial<ConnectOptions> = {}): Promise<Connection> => {
  fake = await installFakePolycrate(release);
  return open(options);
};
const open = async ({ env, ...options }: Partial<ConnectOptions> = {}): Promise<Connection> => {
  const settings = { POLYCRATE_MCP_EXECUTOR: 'cli', POLYCRATE_MCP_CLI: fake.path, SECRET_OF_OURS: 'canary' };
  const whole = { ...localSettings(root.path), ...settings, ...env };
  server = await connect({ home: home.path, ...options, env: whole });
  return server;
};
const ask = async (name: string, args: Record<string, unknown>): Promise<any> => {
  const { isError, error, data }: Answer = await server!.call(name, args);
  if (isError) throw new Error(JSON.stringify(error));
  return data;
};
const target = (action: string, block = 'db') => ({ workspace: 'shop', block, action });
const run = (action: string, more = {}) =>
  ask('run_action', { ...target(action), wait_seconds: 50, ...more });
const record = async (run_id: string): Promise<any> => (await ask('get_action_run', { run_id })).run;
const log = async (run_id: string): Promise<{ stream: string; text: string }[]> =>
  (await ask('read_action_run_log', { run_id })).lines;

describe('what the CLI is given', () => {
  it('is exactly this argument array and this environment, and nothing to read', async () => {
    await start();
    const { run: done } = await run('hello');
    const [call] = await fake.runs();
    expect(call?.args).toEqual([
      'run',
      `--workspace=${workspace}`,
      `--runtime-dir=${home.path}/run/${done.id}/cli`,
      '--no-api-submit-action-runs',
      '--',
      'db',
      'hello',
    ]);
    const passed = ['PATH', 'HOME', 'DOCKER_HOST'].filter((name) => process.env[name]);
    expect(Object.keys(call!.env).sort()).toEqual(
      [...passed, 'POLYCRATE_API_SUBMIT_ACTION_RUNS', 'POLYCRATE_MCP_RUN_ID'].sort(),
    );
    expect(call?.env).toMatchObject({
      POLYCRATE_API_SUBMIT_ACTION_RUNS: 'false',
      POLYCRATE_MCP_RUN_ID: done.id,
    });
    expect(call).toMatchObject({ cwd: workspace, stdin: 'null' });
  });

  it('has no flag that an older release would end with an error at', async () => {
    await start({ version: '0.19.3', flags: [] });
    const done = await run('hello');
    expect(done).toMatchObject({ succeeded: true });
    expect((await fake.runs())[0]?.args).not.toContain('--no-api-submit-action-runs');
    expect(await record(done.run.id)).toMatchObject({ cli_version: '0.19.3' });
  });

  it('answers its prompt only after a human did', async () => {
    await start({}, { onAsk: () => ({ action: 'accept', content: { approve: true } }) });
    expect(await run('asks')).toMatchObject({ succeeded: true });
    expect((await fake.runs()).map(({ args }) => args.includes('--force'))).toEqual([true]);
  });

  it('and nothing where the human says no', async () => {
    await start({}, { onAsk: () => ({ action: 'decline' }) });
    expect((await server!.call('run_action', target('asks'))).isError).toBe(true);
    expect(await fake.runs()).toEqual([]);
  });
});

describe('what is recorded', () => {
  it('is the merged output, the version, the transaction as an alias, and that it is less exact', async () => {
    await start({ version: '0.40.0' });
    const { run: done } = await run('hello');
    const lines = await log(done.id);
    // Which of the two pipes the CLI reads first is its own affair.
    expect(lines.map(({ stream }) => stream)).toEqual(['stdout', 'stdout']);
    const output = lines.map(({ text }) => text.replace('REGISTERED CURRENT BLOCK db', '')).sort();
    expect(output).toEqual(['to-stderr', 'to-stdout']);
    const full = await record(done.id);
    expect(full).toMatchObject({
      status: 'success',
      exit_code: 0,
      cli_version: '0.40.0',
      executor: { kind: 'cli', image: null, image_digest: null },
      evidence: { cli: { exit_code: 'flattened', streams: 'merged' } },
    });
    expect(full.aliases).toEqual([
      { source: 'cli', endpoint: null, id: expect.stringMatching(UUID) as string },
    ]);
    expect((await record(full.aliases[0].id)).id).toBe(done.id);
  });

  it('of a failure is the exit code of the CLI and its own words as stderr', async () => {
    await start();
    const { run: done, succeeded } = await run('fail');
    expect(succeeded).toBe(false);
    expect(done).toMatchObject({ status: 'failed', exit_code: 1 });
    const own = (await log(done.id)).filter(({ stream }) => stream === 'stderr');
    expect(own.map(({ text }) => text).join()).toContain('exit status 7');
  });

  it('has no secrets, and the snapshot of the CLI is gone with the run', async () => {
    await start();
    const { run: done } = await run('leak');
    expect(JSON.stringify(await log(done.id))).not.toContain('correct-horse');
    expect(await settledTraces(home.path, [server!.pid])).toEqual(NOTHING);
    expect(await readdir(join(home.path, 'run')).catch(() => [])).toEqual([]);
  });
});

describe('a plan', () => {
  it('shows the call, and what the CLI chooses itself', async () => {
    await start();
    const { plan } = await ask('plan_action', target('hello'));
    expect(plan).toMatchObject({ executor: 'cli', cli_version: '0.40.0', image: { chosen_by: 'the CLI' } });
    expect(plan.command).toEqual([
      ...[fake.path, 'run', `--workspace=${workspace}`, `--runtime-dir=${home.path}/run/RUN/cli`],
      ...['--no-api-submit-action-runs', '--', 'db', 'hello'],
    ]);
    expect(plan.warnings.join('\n')).toMatch(/image, environment and mounts are chosen by the CLI/);
    expect(plan.env_names).toEqual(['POLYCRATE_API_SUBMIT_ACTION_RUNS']);
    expect(await fake.runs()).toEqual([]);
  });

  it('holds what the workspace asks for against the limits of the operator', async () => {
    await start();
    const more = {
      extramounts: ['/etc:/host-etc'],
      config: { image: { reference: 'evil.example/x', version: '1' } },
    };
    await writeWorkspace(root.path, { name: 'shop', organization: 'acme', rest: more });
    const refused = await server!.call('run_action', target('hello'));
    expect(refused.error).toMatchObject({ code: 'refused' });
    expect(refused.error?.message).toContain('evil.example/x:1');
    await writeWorkspace(root.path, {
      name: 'shop',
      organization: 'acme',
      rest: { extramounts: more.extramounts },
    });
    expect((await server!.call('run_action', target('hello'))).error?.message).toContain('/etc');
    expect(await fake.runs()).toEqual([]);
  });

  it('tells where the CLI was looked for, and nothing is recorded', async () => {
    await start({}, { env: { POLYCRATE_MCP_CLI: '/nowhere/polycrate' } });
    const { plan } = await ask('plan_action', target('hello'));
    expect(plan.warnings.join('\n')).toContain('cannot run now: The Polycrate CLI is not installed');
    const { error } = await server!.call('run_action', target('hello'));
    expect(error).toMatchObject({ code: 'engine_unavailable', valid: ['/nowhere/polycrate'] });
    expect((await ask('search_action_runs', { include_excluded: true })).total).toBe(0);
    const { executors } = await ask('get_status', {});
    expect(executors).toMatchObject([{ kind: 'cli', available: false }]);
  });

  it('is never what auto means', async () => {
    await start({}, { env: { POLYCRATE_MCP_EXECUTOR: 'auto', DOCKER_HOST: 'unix:///nowhere.sock' } });
    expect((await server!.call('run_action', target('hello'))).error?.code).toBe('engine_unavailable');
    expect(await fake.calls()).toEqual([]);
  });
});

describe('a run that is cancelled', () => {
  it('ends with all that the CLI started, in whatever process group', async () => {
    await start();
    const { run: open } = await run('forever', { wait_seconds: 0 });
    await until('output', async () => (await log(open.id).catch(() => [])).length > 0);
    const { run: done } = await ask('cancel_action_run', { run_id: open.id });
    expect(done).toMatchObject({ status: 'cancelled' });
    expect(await settledTraces(home.path, [server!.pid])).toEqual(NOTHING);
    const marked = `POLYCRATE_MCP_RUN_ID=${open.id}`;
    expect(await processesWith(marked)).toEqual([]);
  });

  itWithEngine('has the container of the CLI stopped on the engine', async () => {
    const docker = new Docker();
    await start({ image: TEST_IMAGE });
    const { run: open } = await run('forever', { wait_seconds: 0 });
    await until('output', async () =>
      (await log(open.id).catch(() => [])).some(({ text }) => /started/.test(text)),
    );
    const [txid] = await readdir(join(home.path, 'run', open.id, 'cli'));
    const filters = { label: [`polycrate.txid=${txid}`] };
    expect(await docker.listContainers({ filters })).toHaveLength(1);
    await ask('cancel_action_run', { run_id: open.id });
    const { run: done } = await ask('wait_for_action_run', { run_id: open.id, wait_seconds: 50 });
    expect(done).toMatchObject({ status: 'cancelled', status_reason: 'stopped on request' });
    expect(await docker.listContainers({ filters })).toEqual([]);
  });

  it('says so where nobody can see whether that container ended', async () => {
    await start({ flags: [] }, { env: { DOCKER_HOST: 'unix:///nowhere.sock', HOME: root.path } });
    const { run: open } = await run('forever', { wait_seconds: 0 });
    await until('output', async () => (await log(open.id).catch(() => [])).length > 0);
    const { run: done } = await ask('cancel_action_run', { run_id: open.id });
    expect(done.status_reason).toMatch(
      /^stopped on request; whether the toolchain container .* cannot be seen/,
    );
  });
});

describe('a run outlives its server', () => {
  it('which is killed: its supervisor writes the true end', async () => {
    await start();
    const { run: open_run } = await run('forever', { wait_seconds: 0, timeout_seconds: 3 });
    await until('output', async () => (await log(open_run.id).catch(() => [])).length > 0);
    await kill9(server!);
    await open();
    const { run: done } = await ask('wait_for_action_run', { run_id: open_run.id, wait_seconds: 30 });
    expect(done).toMatchObject({ status: 'failed' });
    expect(done.status_reason).toMatch(/^stopped: it ran longer than its time limit/);
    expect((await record(open_run.id)).aliases).toHaveLength(1);
  });
});

it('a run whose supervisor was killed as well is adopted by the next process, and can still be stopped', async () => {
  await start();
  const { run: open_run } = await run('forever', { wait_seconds: 0 });
  await until('output', async () => (await log(open_run.id).catch(() => [])).length > 0);
  const [supervisor] = await processesOf(home.path, [server!.pid]);
  expect(supervisor).toContain(' supervise');
  await kill9(server!);
  process.kill(Number.parseInt(supervisor!, 10), 'SIGKILL');
  await until('nobody who watches', async () => (await processesOf(home.path)).length === 0);
  await open();
  await ask('get_status', {});
  await ask('cancel_action_run', { run_id: open_run.id });
  const { run: done } = await ask('wait_for_action_run', { run_id: open_run.id, wait_seconds: 50 });
  // The exit code went to a dead parent.
  expect(done).toMatchObject({ status: 'cancelled', exit_code: null });
  expect((await record(open_run.id)).aliases).toHaveLength(1);
  expect(await processesWith(`POLYCRATE_MCP_RUN_ID=${open_run.id}`)).toEqual([]);
});

/** Pids of living processes with this entry in their environment. */
async function processesWith(entry: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return environ.split('\0').includes(entry) ? [pid] : [];
    }),
  );
  return found.flat();
}
