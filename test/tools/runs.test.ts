import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, ERAS, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace, type WorkspaceText } from '../support/workspaces.ts';

const TEXT: WorkspaceText = {
  name: 'shop',
  organization: 'acme',
  blocks: {
    db: {
      version: '1.0.0',
      config: { size: 1, password: 'correct-horse' },
      actions: [
        script('hello', 'echo hello'),
        script('fail', 'echo first', 'echo broken >&2', 'exit 7', 'echo never'),
        script('leak', 'echo the password is correct-horse indeed'),
        { ...script('terminal', 'true'), interactive: true },
        { name: 'nothing' },
      ],
    },
    slow: { actions: [script('forever', 'echo started', 'exec sleep 600')] },
    abstract: { template: true, actions: [script('none', 'true')] },
  },
  files: { 'inventory.yml': 'all:\n  hosts:\n    web-1:\n' },
};

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  await writeWorkspace(root.path, TEXT);
  server = await connect({ home: home.path, env: localSettings(root.path) });
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

const ask = async (name: string, args: Record<string, unknown> = {}): Promise<any> => {
  const { isError, error, data } = await server.call(name, args);
  if (isError) throw new Error(JSON.stringify(error));
  return data;
};
const refused = async (name: string, args: Record<string, unknown>): Promise<any> => {
  const { isError, error } = await server.call(name, args);
  expect(isError, JSON.stringify(args)).toBe(true);
  return error;
};
const target = (action: string, block = 'db') => ({ workspace: 'shop', block, action });
const run = (action: string, more = {}) =>
  ask('run_action', { ...target(action), wait_seconds: 50, ...more });
const total = async (): Promise<number> =>
  (await ask('search_action_runs', { include_excluded: true })).total;

describe.each(ERAS)('essentials in the %s era', (era) => {
  let other: Connection;
  beforeAll(async () => {
    other = await connect({ home: home.path, env: localSettings(root.path), era });
  });
  afterAll(() => other.close());

  it('plan, run, find and read a run', async () => {
    const { data: planned } = await other.call('plan_action', target('hello'));
    expect(planned.plan).toMatchObject({
      executor: 'local',
      policy: { decision: 'allow' },
      hosts: ['web-1'],
    });
    const { data } = await other.call('run_action', {
      ...target('hello'),
      plan_digest: planned.plan.digest,
      reason: `for ${era}`,
      wait_seconds: 50,
    });
    expect(data).toMatchObject({
      finished: true, succeeded: true, launched: true, replayed: false, log_tail: ['hello'],
      run: { status: 'success', exit_code: 0, block: 'db', block_version: '1.0.0', action: 'hello' },
    }); // prettier-ignore
    const { data: found } = await other.call('search_action_runs', { text: `for ${era}` });
    expect(found).toMatchObject({ total: 1, runs: [{ id: data.run.id, status: 'success' }] });
    const { data: whole } = await other.call('get_action_run', { run_id: data.run.id });
    expect(whole.run).toMatchObject({
      client: { name: 'test-client', version: '1.2.3' },
      reason: `for ${era}`,
      trigger: 'mcp',
      plan_digest: planned.plan.digest,
      principal: { kind: 'os' },
      evidence: { claimed: ['client', 'reason'] },
    });
    const { data: log } = await other.call('read_action_run_log', { run_id: data.run.id });
    expect(log).toMatchObject({ lines: [{ n: 1, stream: 'stdout', text: 'hello' }], total_lines: 1 });
  });

  it('a failed run is a result, and a wrong name is an error that teaches', async () => {
    const failed = await other.call('run_action', { ...target('fail'), wait_seconds: 50 });
    expect(failed.isError).toBe(false);
    expect(failed.data).toMatchObject({
      succeeded: false,
      run: { status: 'failed', exit_code: 7 },
      log_tail: expect.arrayContaining(['first', 'broken']),
      next: expect.stringContaining('read_action_run_log'),
    });
    expect(failed.data.log_tail).not.toContain('never');
    const wrong = await other.call('run_action', target('helo'));
    expect(wrong.error).toMatchObject({ code: 'unknown_name', valid: expect.arrayContaining(['hello']) });
  });

  it('progress comes while it waits, and only if it was asked for', async () => {
    const { data: started } = await other.call('run_action', { ...target('forever', 'slow'), wait_seconds: 0 });
    expect(started).toMatchObject({ finished: false, succeeded: null, run: { exit_code: null } });
    const run_id = started.run.id as string;
    const seen: { progress: number; message?: string }[] = [];
    const { data: waited } = await other.call(
      'wait_for_action_run',
      { run_id, wait_seconds: 2.5 },
      { onprogress: (progress) => seen.push(progress) },
    );
    expect(waited).toMatchObject({ finished: false, log_tail: ['started'] });
    expect(seen.length).toBeGreaterThanOrEqual(2);
    const values = seen.map(({ progress }) => progress);
    expect(values).toEqual([...new Set(values)].sort((a, b) => a - b));
    expect(seen[0]!.message).toContain(run_id);
    const cancelled = await other.call('cancel_action_run', { run_id, reason: 'enough' });
    expect(cancelled.data).toMatchObject({ finished: true, succeeded: false, run: { status: 'cancelled' } });
  }); // prettier-ignore
});

describe('plan_action', () => {
  it('needs a target, and says so', async () => {
    for (const args of [{}, { workspace: 'shop' }, { workspace: 'shop', block: 'db' }, { mode: 'current' }]) {
      const error = await refused('plan_action', args);
      expect(error).toMatchObject({ code: 'invalid_argument', next: expect.stringContaining('list_blocks') });
      expect(error.message).toContain('retrigger_of');
    }
  });

  it('changes nothing', async () => {
    const before = await total();
    await ask('plan_action', target('hello'));
    expect(await total()).toBe(before);
  });

  it('shows what would happen, without values of the environment', async () => {
    const { plan } = await ask('plan_action', target('hello'));
    expect(plan).toMatchObject({
      script: ['echo hello'],
      inventory: 'inventory.yml',
      image: null,
      mounts: [],
      drift: [],
      prompt: null,
    });
    expect(plan.env_names).toContain('ANSIBLE_INVENTORY');
    expect(plan.warnings).toContain('runs on this host without a container');
    expect(plan.digest).toMatch(/^[0-9a-f]{64}$/);
    expect((await ask('plan_action', target('hello'))).plan.digest).toBe(plan.digest);
    expect((await ask('plan_action', target('fail'))).plan.digest).not.toBe(plan.digest);
  });

  it.each([
    ['terminal', 'db', 'action:interactive'],
    ['nothing', 'db', 'definition:broken'],
    ['none', 'abstract', 'definition:broken'],
  ])('says that %s of %s is refused, and why', async (action, block, rule) => {
    const { plan } = await ask('plan_action', target(action, block));
    expect(plan.policy).toMatchObject({ decision: 'deny', rule });
    const before = await total();
    expect(await refused('run_action', target(action, block))).toMatchObject({
      code: 'refused',
      message: expect.stringContaining(rule),
      next: plan.policy.remedy,
    });
    expect(await total()).toBe(before);
  });
});

describe('run_action', () => {
  it('refuses another plan than the one that was looked at', async () => {
    const before = await total();
    const error = await refused('run_action', { ...target('hello'), plan_digest: 'a'.repeat(64) });
    expect(error).toMatchObject({ code: 'plan_changed', next: expect.stringContaining('plan_action') });
    expect(await total()).toBe(before);
  });

  it('replays the same key, and refuses it with other arguments', async () => {
    const first = await run('hello', { idempotency_key: 'once' });
    const again = await run('hello', { idempotency_key: 'once' });
    expect(again).toMatchObject({ replayed: true, run: { id: first.run.id } });
    expect(again.replayed_age_seconds).toBeGreaterThanOrEqual(0);
    const error = await refused('run_action', { ...target('fail'), idempotency_key: 'once' });
    expect(error).toMatchObject({ code: 'key_reused', details: { run_id: first.run.id } });
  });

  it('starts once when the same request comes twenty times at once', async () => {
    const before = await total();
    const all = await Promise.all(Array.from({ length: 20 }, () => run('hello', { idempotency_key: 'many' })));
    expect(new Set(all.map((answer) => answer.run.id)).size).toBe(1);
    expect(all.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(await total()).toBe(before + 1);
  }); // prettier-ignore

  it('refuses a second run of a block that is busy, naming the first', async () => {
    const first = await ask('run_action', { ...target('forever', 'slow'), wait_seconds: 0 });
    const error = await refused('run_action', target('forever', 'slow'));
    expect(error).toMatchObject({ code: 'already_active', details: { run_id: first.run.id } });
    expect(error.next).toContain('allow_concurrent');
    const second = await ask('run_action', { ...target('forever', 'slow'), wait_seconds: 0, allow_concurrent: true });
    await Promise.all([first, second].map(({ run }) => ask('cancel_action_run', { run_id: run.id })));
  }); // prettier-ignore

  it('removes secrets from the log and from the answer', async () => {
    const { log_tail } = await run('leak');
    expect(log_tail).toEqual(['the password is [secret] indeed']);
  });

  it('ends a run at its time limit', async () => {
    const { run: ended } = await run('forever', { block: 'slow', timeout_seconds: 1 });
    expect(ended).toMatchObject({ status: 'failed', status_reason: expect.stringContaining('time limit') });
  });
});

describe('cancel_action_run', () => {
  it('records who and why, and leaves a finished run as it is', async () => {
    const { run: open } = await ask('run_action', { ...target('forever', 'slow'), wait_seconds: 0 });
    const cancelled = await ask('cancel_action_run', { run_id: open.id, reason: 'wrong host' });
    expect(cancelled).toMatchObject({ finished: true, run: { status: 'cancelled', exit_code: 143 } });
    const { run: record } = await ask('get_action_run', { run_id: open.id });
    expect(record).toMatchObject({ cancel_reason: 'wrong host', cancelled_by: expect.any(String) });
    await ask('cancel_action_run', { run_id: open.id, reason: 'again' });
    expect((await ask('get_action_run', { run_id: open.id })).run).toEqual(record);
  });

  it('refuses a run that nobody here supervises', async () => {
    const [foreign] = await fillLedger(home.path, [
      { requested_at: Date.now(), status: 'running', block: 'remote', source: 'api', supervised: false },
    ]);
    const error = await refused('cancel_action_run', { run_id: foreign!.id });
    expect(error.code).toBe('refused');
  });
});

it('the whole-record answer names differences to another run', async () => {
  const good = await run('hello', { reason: 'good' });
  const bad = await run('fail', { reason: 'bad' });
  const { differences } = await ask('get_action_run', { run_id: bad.run.id, compare_to: good.run.id });
  const of = (field: string): any => differences.find((one: any) => one.field === field);
  expect(of('action')).toEqual({ field: 'action', before: 'hello', after: 'fail' });
  expect(of('exit_code')).toEqual({ field: 'exit_code', before: 0, after: 7 });
  expect(of('workspace')).toBeUndefined();
  const same = await ask('get_action_run', { run_id: bad.run.id, compare_to: bad.run.id });
  expect(same.differences).toEqual([]);
  expect((await refused('get_action_run', { run_id: bad.run.id, compare_to: 'no-such' })).code).toBe('unknown_name');
}); // prettier-ignore

it('a run is found by an unambiguous beginning of its id', async () => {
  const { run: one } = await run('hello');
  expect((await ask('get_action_run', { run_id: one.id.slice(0, 30) })).run.id).toBe(one.id);
  expect((await refused('get_action_run', { run_id: one.id.slice(0, 7) })).code).toBe('unknown_name');
});
