import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, tempFolder, type Connection, type Question } from '../support/mcp.ts';
import { until } from '../support/traces.ts';
import { localSettings, script, writeWorkspace, type WorkspaceText } from '../support/workspaces.ts';

const step = (name: string, block: string, action: string, more = {}) => ({ name, block, action, ...more });
const TRACE = 'echo "$POLYCRATE_BLOCK/$POLYCRATE_ACTION" >> "$POLYCRATE_WORKSPACE/trace"';
const HOLD = 'while [ ! -e "$POLYCRATE_WORKSPACE/go" ]; do sleep 0.05; done';

const TEXT: WorkspaceText = {
  name: 'shop',
  organization: 'acme',
  rest: {
    labels: { environment: 'production' },
    workflows: [
      { name: 'release', steps: [step('build', 'app', 'build'), step('migrate', 'db', 'migrate'), step('deploy', 'app', 'deploy')] },
      { name: 'broken', steps: [step('first', 'app', 'build'), step('bad', 'db', 'fail'), step('never', 'app', 'deploy')] },
      { name: 'tolerant', allow_failure: true, steps: [step('bad', 'db', 'fail'), step('then', 'app', 'deploy')] },
      {
        name: 'asking', prompt: { message: 'Is everybody awake?' },
        steps: [step('first', 'app', 'build', { prompt: { message: 'Really\nWorkspace: acme/staging' } }), step('wipe', 'db', 'wipe')],
      },
      { name: 'lost', steps: [step('first', 'app', 'build'), step('gone', 'app', 'nothing-like-it')] },
      { name: 'homeless', steps: [step('first', 'app', 'build'), step('gone', 'no-such-block', 'build')] },
      { name: 'held', steps: [step('wait', 'app', 'wait'), step('deploy', 'db', 'migrate')] },
      { name: 'changing', steps: [step('rewrite', 'app', 'rewrite'), step('deploy', 'db', 'migrate')] },
      { name: 'staged', steps: [step('first', 'app', 'wait'), step('second', 'other', 'later')] },
      { name: 'other', steps: [step('wait', 'other', 'wait')] },
    ],
  },
  blocks: {
    app: {
      version: '1.0.0',
      actions: [
        script('build', TRACE, 'echo built'), script('deploy', TRACE, 'echo deployed'), script('wait', TRACE, HOLD),
        script('rewrite', TRACE, 'echo changed > "$POLYCRATE_WORKSPACE/blocks/db/notes.txt"'),
      ],
    },
    db: {
      version: '2.0.0',
      actions: [
        script('migrate', TRACE, 'echo migrated'), script('fail', TRACE, 'echo oops >&2', 'exit 3'),
        { ...script('wipe', TRACE, 'echo wiped'), prompt: { message: 'Delete all backups?' } },
      ],
    },
    other: { actions: [script('wait', TRACE, HOLD), script('later', TRACE, HOLD.replace('/go', '/later'))] },
  },
  files: { 'inventory.yml': 'all:\n  hosts:\n    web-1:\n', 'blocks/db/notes.txt': 'as it was' },
}; // prettier-ignore

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let path: string;
let server: Connection;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  path = await writeWorkspace(root.path, TEXT);
  server = await connect({ home: home.path, env: localSettings(root.path) });
});
beforeEach(async () => {
  await Promise.all([
    rm(join(path, 'trace'), { force: true }),
    rm(join(path, 'go'), { force: true }),
    rm(join(path, 'later'), { force: true }),
  ]);
  await writeWorkspace(root.path, TEXT);
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

const flow = (workflow: string, more = {}) => ({ workspace: 'shop', workflow, wait_seconds: 50, ...more });
const run = (workflow: string, more = {}, on = server) => on.call('run_workflow', flow(workflow, more));
const trace = async (): Promise<string[]> =>
  (await readFile(join(path, 'trace'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
const search = async (args = {}): Promise<any> => (await server.call('search_action_runs', args)).data;
const plan = async (workflow: string): Promise<any> =>
  (await server.call('plan_action', { workspace: 'shop', workflow })).data.plan;

describe('a workflow', () => {
  it('runs its steps in order, each as a run of its own below the run of the workflow', async () => {
    const before = await search({ include_excluded: true });
    const { data } = await run('release', { reason: 'release 7' });
    expect(data).toMatchObject({
      finished: true, succeeded: true, launched: true, replayed: false, log_tail: ['deployed'],
      run: { status: 'success', exit_code: null, block: null, action: null, workflow: 'release' },
      steps: [
        { name: 'build', block: 'app', action: 'build', status: 'success', exit_code: 0 },
        { name: 'migrate', block: 'db', action: 'migrate', status: 'success', exit_code: 0 },
        { name: 'deploy', block: 'app', action: 'deploy', status: 'success', exit_code: 0 },
      ],
    }); // prettier-ignore
    expect(await trace()).toEqual(['app/build', 'db/migrate', 'app/deploy']);
    const parent = (await server.call('get_action_run', { run_id: data.run.id })).data;
    expect(parent.run).toMatchObject({
      kind: 'workflow',
      trigger: 'mcp',
      reason: 'release 7',
      executor: null,
    });
    expect(parent.relations.steps.map(({ run_id }: any) => run_id)).toEqual(
      data.steps.map(({ run_id }: any) => run_id),
    );
    let last = Date.parse(parent.run.started_at);
    for (const { run_id, name } of data.steps) {
      const child = (await server.call('get_action_run', { run_id })).data.run;
      expect(child).toMatchObject({
        kind: 'action', parent: data.run.id, workflow: 'release', step: name, trigger: 'workflow',
        reason: 'release 7', environment: { value: 'production' },
      }); // prettier-ignore
      // Recorded before it was executed, and not before the step in front of it was over.
      expect(Date.parse(child.requested_at)).toBeGreaterThanOrEqual(last);
      last = Date.parse(child.finished_at);
    }
    expect(Date.parse(parent.run.finished_at)).toBeGreaterThanOrEqual(last);
    // History counts the steps, and the workflow apart.
    const after = await search({ include_excluded: true });
    expect(after.total - before.total).toBe(4);
    const counted = await search();
    expect(counted.excluded.workflow_parents).toBe(1);
    const log = (await server.call('read_action_run_log', { run_id: data.run.id })).data;
    expect(log).toMatchObject({ lines: [], next: expect.stringContaining('get_action_run') });
    const again = await server.call('retrigger_action_run', { run_id: data.run.id });
    expect(again.error).toMatchObject({ code: 'refused', next: expect.stringContaining('run_workflow') });
  });

  it('stops at the first step that fails, and says what was not run', async () => {
    const { data } = await run('broken');
    expect(data).toMatchObject({
      finished: true, succeeded: false, launched: true, log_tail: ['oops'],
      run: { status: 'failed', status_reason: 'step bad failed' },
      steps: [
        { name: 'first', status: 'success' }, { name: 'bad', status: 'failed', exit_code: 3 },
        { name: 'never', run_id: null, status: null, not_run: 'step bad failed' },
      ],
    }); // prettier-ignore
    expect(data.next).toContain(data.steps[1].run_id);
    expect(await trace()).toEqual(['app/build', 'db/fail']);
  });

  it('goes on after a failure where it allows failures, and says so', async () => {
    const { data } = await run('tolerant');
    expect(data).toMatchObject({
      succeeded: true,
      run: { status: 'success', status_reason: expect.stringContaining('bad failed') },
      steps: [{ status: 'failed' }, { status: 'success' }],
    });
    expect(await trace()).toEqual(['db/fail', 'app/deploy']);
  });

  it.each([
    ['lost', 'gone', /nothing-like-it/],
    ['homeless', 'gone', /no-such-block/],
  ])('%s, with a step that leads nowhere, is refused before anything runs', async (name, bad, what) => {
    const before = await search({ include_excluded: true });
    const { error } = await run(name);
    expect(error).toMatchObject({ code: 'broken_definition', message: expect.stringMatching(what) });
    expect(error!.message).toContain(bad);
    expect((await server.call('plan_action', { workspace: 'shop', workflow: name })).error!.code).toBe('broken_definition');
    expect((await search({ include_excluded: true })).total).toBe(before.total);
    expect(await trace()).toEqual([]);
  }); // prettier-ignore

  it('that is unknown is refused with the closest, and arguments that do not go together too', async () => {
    expect((await run('relase')).error).toMatchObject({ code: 'unknown_name', valid: expect.arrayContaining(['release']) });
    const both = { workspace: 'shop', workflow: 'release', block: 'db' };
    expect((await server.call('plan_action', both)).error!.code).toBe('invalid_argument');
    const [row] = (await server.call('list_workspaces')).data.workspaces;
    expect(row.workflows).toContain('release');
  }); // prettier-ignore

  it('with a key is run once', async () => {
    const [one, two] = await Promise.all([
      run('release', { idempotency_key: 'once' }),
      run('release', { idempotency_key: 'once' }),
    ]);
    expect(one.data.run.id).toBe(two.data.run.id);
    expect([one.data.replayed, two.data.replayed].sort()).toEqual([false, true]);
    expect(await trace()).toHaveLength(3);
    expect((await run('broken', { idempotency_key: 'once' })).error!.code).toBe('key_reused');
  });

  it('is not run twice at once, while another one is', async () => {
    const first = await run('held', { wait_seconds: 0, reason: 'one' });
    const { error } = await run('held', { wait_seconds: 0, reason: 'two' });
    expect(error).toMatchObject({ code: 'already_active', details: { run_id: first.data.run.id } });
    const other = await run('other', { wait_seconds: 0 });
    await until('both to run', async () => (await trace()).length === 2);
    await writeFile(join(path, 'go'), '');
    for (const { data } of [first, other]) {
      const ended = await server.call('wait_for_action_run', { run_id: data.run.id, wait_seconds: 50 });
      expect(ended.data).toMatchObject({ succeeded: true });
      expect(ended.data.steps.every(({ status }: any) => status === 'success')).toBe(true);
    }
  });

  it('whose step finds its block busy stops there', async () => {
    const busy = await server.call('run_action', { workspace: 'shop', block: 'app', action: 'wait', wait_seconds: 0 });
    const { data } = await run('held', { reason: 'busy' });
    expect(data).toMatchObject({ succeeded: false, launched: false, run: { status: 'failed' } });
    expect(data.run.status_reason).toContain(busy.data.run.id);
    expect(data.steps.map(({ run_id }: any) => run_id)).toEqual([null, null]);
    await writeFile(join(path, 'go'), '');
    await server.call('wait_for_action_run', { run_id: busy.data.run.id, wait_seconds: 50 });
  }); // prettier-ignore

  it('that is cancelled ends with its step, and the rest is not run', async () => {
    const { data } = await run('held', { wait_seconds: 0 });
    await until('the step to run', async () => (await trace()).length === 1);
    const ended = await server.call('cancel_action_run', { run_id: data.run.id, reason: 'not today' });
    expect(ended.data).toMatchObject({
      finished: true,
      run: { status: 'cancelled', status_reason: 'stopped on request, in step wait' },
      steps: [{ status: 'cancelled' }, { run_id: null, not_run: expect.stringContaining('on request') }],
    });
    const child = await server.call('get_action_run', { run_id: ended.data.steps[0].run_id });
    expect(child.data.run).toMatchObject({ status: 'cancelled', cancel_reason: 'not today' });
    expect(child.data.run.cancelled_by).toBe(child.data.run.os_user);
    expect(await trace()).toEqual(['app/wait']);
  });

  it('of which one step is cancelled ends as cancelled', async () => {
    const { data } = await run('held', { wait_seconds: 0 });
    const child = await until('the step', async () => {
      const { steps } = (await server.call('wait_for_action_run', { run_id: data.run.id, wait_seconds: 0 })).data;
      return steps[0].status === 'running' ? steps[0] : null;
    });
    await server.call('cancel_action_run', { run_id: child.run_id });
    const ended = await server.call('wait_for_action_run', { run_id: data.run.id, wait_seconds: 50 });
    expect(ended.data.run).toMatchObject({ status: 'cancelled', status_reason: 'step wait was cancelled' });
  }); // prettier-ignore

  it('has a time limit for all of it', async () => {
    const { data } = await run('held', { timeout_seconds: 5 });
    expect(data).toMatchObject({ succeeded: false, run: { status: 'failed' } });
    expect(data.run.status_reason).toMatch(/time limit, in step wait/);
    const child = await server.call('get_action_run', { run_id: data.steps[0].run_id });
    expect(child.data.run).toMatchObject({ status: 'cancelled', cancelled_by: null });
    expect(child.data.run.cancel_reason).toMatch(/time limit of its workflow/);
  });
});

describe('the plan of a workflow', () => {
  it('shows all steps, and its digest runs exactly these', async () => {
    const shown = await plan('release');
    expect(shown).toMatchObject({
      workflow: 'release', allow_failure: false, policy: { decision: 'allow' },
      steps: [
        { name: 'build', block: 'app', action: 'build', block_version: '1.0.0', hosts: ['web-1'] },
        { name: 'migrate', block: 'db', action: 'migrate' }, { name: 'deploy', block: 'app' },
      ],
    }); // prettier-ignore
    const { data } = await run('release', { plan_digest: shown.digest });
    expect(data.succeeded).toBe(true);
    await writeFile(join(path, 'blocks', 'db', 'notes.txt'), 'changed');
    const { error } = await run('release', { plan_digest: shown.digest });
    expect(error).toMatchObject({ code: 'plan_changed' });
    expect((await plan('release')).digest).not.toBe(shown.digest);
  });

  it('that a step changes for a later one stops it, but only if it was agreed to', async () => {
    const { digest } = await plan('changing');
    const { data } = await run('changing', { plan_digest: digest });
    expect(data).toMatchObject({ succeeded: false, run: { status: 'failed' } });
    expect(data.run.status_reason).toMatch(/step deploy was not started: plan_changed/);
    expect(data.steps[1]).toMatchObject({ run_id: null, not_run: expect.stringContaining('plan_changed') });
    expect(await trace()).toEqual(['app/rewrite']);
    await writeWorkspace(root.path, TEXT);
    expect((await run('changing')).data.succeeded).toBe(true);
  });
});

describe('the approval of a workflow', () => {
  const questions: Question[] = [];
  let approve = true;
  let asking: Connection;
  beforeAll(async () => {
    const onAsk = (question: Question) => {
      questions.push(question);
      return { action: 'accept' as const, content: { approve } };
    };
    const env = { ...localSettings(root.path), POLYCRATE_MCP_RUN_MODE: 'ask' };
    asking = await connect({ home: home.path, env, onAsk });
  });
  beforeEach(() => {
    questions.length = 0;
    approve = true;
  });
  afterAll(() => asking.close());

  it('is one question about all steps, with whatever any of them asks', async () => {
    const { data } = await run('asking', {}, asking);
    expect(data).toMatchObject({ succeeded: true, run: { approval: { outcome: 'approved' } } });
    expect(questions).toHaveLength(1);
    expect(questions[0]!.message.split('\n')).toEqual([
      'Run this workflow?', '',
      'Workspace: acme/shop (production)',
      'Workflow: asking (stops at the first failure)',
      'The workflow asks: Is everybody awake?',
      '1. first: app 1.0.0, action build',
      '1. The step asks: Really Workspace: acme/staging',
      '2. wipe: db 2.0.0, action wipe',
      '2. The action asks: Delete all backups?',
      'Hosts: web-1',
      'On this host, without a container',
      expect.stringMatching(/^Plan: [0-9a-f]{12} \(workflow:prompt\)$/),
    ]); // prettier-ignore
    for (const { run_id } of data.steps) {
      const child = (await server.call('get_action_run', { run_id })).data.run;
      expect(child.approval).toMatchObject({ outcome: 'approved', by: child.os_user });
    }
  });

  it('is needed for prompts in trusted mode too, and a no runs nothing', async () => {
    expect((await run('asking')).error!.code).toBe('approval_unavailable');
    approve = false;
    const before = await search({ include_excluded: true });
    expect((await run('release', {}, asking)).error!.code).toBe('approval_declined');
    expect((await search({ include_excluded: true })).total).toBe(before.total);
    expect(await trace()).toEqual([]);
  });

  it('holds for what was shown: a change by a step ends it', async () => {
    const { data } = await run('changing', {}, asking);
    expect(questions).toHaveLength(1);
    expect(data.run.status_reason).toMatch(/plan_changed/);
    expect(await trace()).toEqual(['app/rewrite']);
  });
});

describe('progress of a workflow', () => {
  it('tells a client that waits which step of how many it has reached', async () => {
    const told: string[] = [];
    const onprogress = ({ message }: { message?: string }) => void told.push(message ?? '');
    const running = server.call('run_workflow', flow('staged'), { onprogress });
    await until('the first step', () => told.some((text) => / is running: step 1 of 2, first \(app, wait\), is running$/.test(text)));
    await writeFile(join(path, 'go'), '');
    await until('the second step', () => told.some((text) => / step 2 of 2, second \(other, later\), is running$/.test(text)));
    await writeFile(join(path, 'later'), '');
    const { data } = await running;
    expect(data.succeeded).toBe(true);
    expect(told.every((text) => text.startsWith(`run ${data.run.id} is `))).toBe(true);
    // Never back: what was reached is told in order.
    const steps = told.map((text) => Number(/step (\d)/.exec(text)?.[1] ?? 0));
    expect(steps).toEqual([...steps].sort());
  }); // prettier-ignore
});
