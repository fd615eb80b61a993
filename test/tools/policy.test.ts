import { execFile } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from 'vitest';
import { connect, MAIN, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let home: string;
let root: string;
let file: string;

beforeAll(async () => {
  folders = await Promise.all(['home', 'root', 'policy'].map(tempFolder));
  [home, root] = [folders[0]!.path, folders[1]!.path];
  file = join(folders[2]!.path, 'policy.yml');
  const actions = [script('hello', 'echo hello'), script('slow', 'sleep 5'), { ...script('wipe', 'echo x'), prompt: 'Sure?' }];
  await writeWorkspace(root, { name: 'shop', organization: 'acme', rest: { labels: { environment: 'production' } }, blocks: { db: { actions }, web: { actions } } });
}); // prettier-ignore
afterAll(() => Promise.all(folders.map((folder) => folder.remove())));

/** Renamed into its place, as a careful operator does it. */
function write(...rules: object[]): void {
  writeFileSync(`${file}.new`, JSON.stringify({ version: 1, rules }));
  renameSync(`${file}.new`, file);
}
const env = (): Record<string, string> => ({
  ...localSettings(root), POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: file,
}); // prettier-ignore
const HELLO = { workspace: 'shop', block: 'db', action: 'hello', wait_seconds: 50 };

describe('a policy file', () => {
  let server: Connection;
  const start = async (): Promise<void> => {
    server = await connect({ home, env: env() });
  };
  beforeEach(() => write({ name: 'hello', when: { action: 'hello' }, decision: 'allow', lock: 'block' }));
  afterEach(() => server.close());

  it('decides, names its rule in plan and refusal, and its digest is in the record and in the ledger', async () => {
    await start();
    const { data } = await server.call('run_action', HELLO);
    expect(data).toMatchObject({ succeeded: true });
    const { run } = (await server.call('get_action_run', { run_id: data.run.id })).data;
    const { policy } = (await server.call('get_status')).data;
    expect(run).toMatchObject({ policy_digest: policy.file.digest, policy_rule: 'hello' });
    expect(policy).toMatchObject({
      run_mode: 'policy',
      file: { rules: 1, problem: null, needs_restart: null },
    });
    const plan = (await server.call('plan_action', { workspace: 'shop', block: 'db', action: 'slow' })).data
      .plan;
    expect(plan.policy).toMatchObject({ decision: 'deny', rule: 'policy:default' });
    const { error } = await server.call('run_action', { ...HELLO, action: 'slow' });
    expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining('policy:default') });
  });

  it('a stricter one counts at once, a loosening one after a restart', async () => {
    await start();
    expect((await server.call('run_action', HELLO)).data.succeeded).toBe(true);
    write({ name: 'no', when: { block: 'db' }, decision: 'deny', why: 'the freeze' }, { name: 'hello', when: { action: 'hello' }, decision: 'allow', lock: 'block' });
    expect((await server.call('run_action', HELLO)).error!.message).toBe('not run (no): the freeze');
    write({ name: 'all', decision: 'allow' });
    expect((await server.call('run_action', HELLO)).error!.message).toContain('(no)');
    await expect.poll(async () => (await server.call('get_status')).data.policy.file.needs_restart).toContain('may allow more');
    await server.close();
    await start();
    expect((await server.call('run_action', HELLO)).data.succeeded).toBe(true);
  }); // prettier-ignore

  it('a broken one leaves the old one in force, loudly', async () => {
    await start();
    expect((await server.call('run_action', HELLO)).data.succeeded).toBe(true);
    writeFileSync(file, 'version: 1\nrules:\n  - name: a\n    decision: allow\n    wen: {}\n');
    expect((await server.call('run_action', HELLO)).data.succeeded).toBe(true);
    expect((await server.call('run_action', { ...HELLO, action: 'slow' })).error!.code).toBe('refused');
    const problem = `${file}:5: rules.0 has no "wen"; did you mean when?`;
    await expect
      .poll(async () => (await server.call('get_status')).data.policy.file.problem)
      .toContain(problem);
  });

  it('without one that can be used nothing runs', async () => {
    writeFileSync(file, 'rules: [');
    await start();
    const { error } = await server.call('run_action', HELLO);
    expect(error).toMatchObject({ code: 'refused', message: expect.stringContaining('policy:broken') });
    expect(
      (await server.call('search_action_runs', { include_excluded: true, during: 'today' })).isError,
    ).toBe(false);
  });

  it('wants a reason, keeps a lock whatever the caller says, and limits how many and how long', async () => {
    const limits = { per_hour: 2, timeout: '1s' };
    write({ name: 'web', when: { block: 'web' }, decision: 'allow', reason: 'required', lock: 'block', limits });
    await start();
    const web = { ...HELLO, block: 'web', action: 'slow' };
    expect((await server.call('run_action', web)).error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('web') });
    const first = await server.call('run_action', { ...web, reason: 'one', wait_seconds: 0 });
    const again = await server.call('run_action', { ...web, reason: 'two', allow_concurrent: true });
    expect(again.error!.code).toBe('already_active');
    const { run } = (await server.call('wait_for_action_run', { run_id: first.data.run.id })).data;
    expect(run).toMatchObject({ status: 'failed', status_reason: expect.stringContaining('time limit') });
    expect((await server.call('run_action', { ...web, action: 'hello', reason: 'two' })).data.succeeded).toBe(true);
    const third = await server.call('run_action', { ...web, action: 'hello', reason: 'three' });
    expect(third.error!.message).toBe('not run (web): the rule allows 2 of its runs in an hour');
  }); // prettier-ignore

  it('a yes of the client is enough where the rule says so', async () => {
    write({ name: 'one', decision: 'approve' });
    server = await connect({
      home,
      env: env(),
      onAsk: () => ({ action: 'accept', content: { approve: true } }),
    });
    const { data } = await server.call('run_action', HELLO);
    expect(data).toMatchObject({ succeeded: true, run: { approval: { strength: 'client' } } });
  });

  it('in a workspace is no policy', async () => {
    const inside = join(root, 'acme', 'shop', 'policy.yml');
    writeFileSync(inside, JSON.stringify({ version: 1, rules: [{ name: 'all', decision: 'allow' }] }));
    server = await connect({ home, env: { ...env(), POLYCRATE_MCP_POLICY: inside } });
    expect((await server.call('run_action', HELLO)).error!.message).toContain('must not change the rules');
  });
});

describe('policy test', () => {
  const run = promisify(execFile);
  const tried = async (content: string): Promise<{ code: number; stdout: string; stderr: string }> => {
    writeFileSync(file, content);
    const options = { env: { PATH: process.env['PATH'], HOME: home } };
    return run(process.execPath, [MAIN, 'policy', 'test', file], options).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    );
  };
  const test = 'workspace: shop, block: db, action: stop, at: "2026-11-27T18:00:00+01:00"';

  it('tells of each expectation whether it is met', async () => {
    const rules = 'version: 1\nrules:\n  - { name: evening, when: { hours: "17:00-20:00", zone: Europe/Berlin }, decision: deny }\n';
    const met = await tried(`${rules}tests:\n  - { ${test}, expect: deny, rule: evening }\n`);
    expect(met).toMatchObject({ code: 0, stdout: expect.stringContaining('deny by evening') });
    const missed = await tried(`${rules}tests:\n  - { ${test}, expect: allow }\n`);
    expect(missed).toMatchObject({ code: 1, stdout: expect.stringMatching(/FAIL .*deny by evening, expected allow/) });
  }); // prettier-ignore

  it.each([
    ['an unknown member', 'version: 1\nrules:\n  - name: a\n    decision: allow\n    when: { wokspace: x }\n', /:5: rules\.0\.when has no "wokspace"; did you mean workspace/],
    ['an unknown word', 'version: 1\nrules:\n  - name: a\n    decision: perhaps\n', /:4: rules\.0\.decision .*"allow"\|"approve"\|"deny"/],
    ['two rules of one name', 'version: 1\nrules:\n  - { name: a, decision: allow }\n  - { name: a, decision: deny }\n', /:4: rules\.1\.name "a" names another rule/],
    ['an odd window', 'version: 1\nrules:\n  - name: a\n    decision: deny\n    when:\n      hours: 8-18\n', /:6: rules\.0\.when\.hours is not hours such as/],
    ['no YAML', 'version: 1\nrules: [\n', /:\d+: /],
  ])('names file and line of %s', async (_, content, message) => {
    expect(await tried(content)).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  }); // prettier-ignore
});
