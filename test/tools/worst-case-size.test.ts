import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { intentFor, mintId, openSqlite, storeRun } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

/** As long as names can be. */
const LONG = 'n'.repeat(180);
const AT = Date.UTC(2026, 8, 1);
const HOSTS = Array.from({ length: 500 }, (_, n) => `h${1_000 + n}-${LONG}`);
const FAILED = HOSTS.filter((_, n) => n % 2);
const STEPS = 1_000;
const PLANNED_STEPS = 15;
const TASKS = 10;
const KEYS = 300;
const CONFIG = Object.fromEntries(Array.from({ length: KEYS }, (_, n) => [`K${n}-${LONG}`, 'v'.repeat(200)]));

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;
let workflow: string;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  workflow = await fillWorkflow(home.path);
  await writeShop(root.path);
  server = await connect({ home: home.path, env: localSettings(root.path) });
}, 120_000);
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

async function fillWorkflow(path: string): Promise<string> {
  const records = openSqlite(path);
  const id = mintId();
  const steps = [];
  for (let n = 0; n < STEPS; n++) {
    const [block, action] = [`b${n}`, 'all'];
    const run =
      n < 5
        ? await storeRun(records, {
            block,
            action,
            requested_at: AT + n * 60_000,
            workflow: 'all',
            status: n === 4 ? 'failed' : 'success',
          })
        : null;
    steps.push({
      name: `s${n}-${LONG}`,
      block,
      reference: block,
      action,
      run_id: run?.id ?? mintId(),
      plan_digest: 'd'.repeat(64),
      not_run: run ? null : `step s4-${LONG} failed`,
    });
  }
  const intent = intentFor({
    id,
    kind: 'workflow',
    block: null,
    action: null,
    workflow: 'all',
    requested_at: AT,
  });
  await records.ledger.request({
    ...intent,
    event: { ...intent.event, facts: { ...intent.event.facts, steps } },
  });
  const facts = {
    status: 'failed',
    status_reason: `step s4-${LONG} failed`,
    launched: true,
    started_at: AT,
    finished_at: AT + 300_000,
    duration_ms: 300_000,
  };
  await records.ledger.append({ kind: 'run_finished', run_id: id, at: AT + 300_000, facts, private: {} });
  await records.close();
  return id;
}

async function writeShop(path: string, config: Record<string, string> = CONFIG): Promise<void> {
  const ansible = [
    ...Array.from({ length: TASKS }, (_, n) => [
      `TASK [t${n}-${LONG}] ****`,
      ...FAILED.map((host) => `fatal: [${host}]: FAILED! => {"msg": "${n} ${'m'.repeat(700)}"}`),
    ]).flat(),
    'PLAY RECAP ****',
    ...HOSTS.map((host, n) => `${host} : ok=1 changed=1 unreachable=0 failed=${n % 2}`),
  ];
  const actions = [
    script('ansible', 'cat "$POLYCRATE_WORKSPACE/ansible.txt"; exit 2'),
    script('quotes', `yes '${'"'.repeat(1_000)}' | head -n 200`),
    { name: 'long', script: Array.from({ length: 500 }, (_, n) => `echo ${n} ${'x'.repeat(200)}`) },
  ];
  const inventory = `all:\n  hosts:\n${HOSTS.map((host) => `    ${host}:\n`).join('')}`;
  await writeWorkspace(path, {
    name: 'shop',
    organization: 'acme',
    rest: {
      workflows: [
        {
          name: 'many',
          steps: Array.from({ length: PLANNED_STEPS }, (_, n) => ({
            name: `s${n}`,
            block: 'db',
            action: 'long',
          })),
        },
      ],
    },
    blocks: { db: { version: '1.0.0', config, actions } },
    files: { 'inventory.yml': inventory, 'ansible.txt': `${ansible.join('\n')}\n` },
  });
}

const shop = { workspace: 'shop', block: 'db' };

/** All pages of an answer that is about one thing; each is small, and the last one leaves nothing out. */
async function pages(tool: string, args: Record<string, unknown>): Promise<any[]> {
  const found: any[] = [];
  let cursor: string | undefined;
  do {
    const { data, error, characters } = await server.call(tool, { ...args, cursor });
    expect(error).toBeNull();
    expect(characters / 4).toBeLessThan(6_000);
    expect(data.left_out === undefined).toBe(data.next_cursor === undefined);
    found.push(data);
    cursor = data.next_cursor;
  } while (cursor !== undefined && found.length < 1_000);
  return found;
}

const lengthOf = (found: readonly any[], list: (data: any) => unknown): number =>
  found.reduce((sum, data) => sum + Object.keys((list(data) as object | undefined) ?? {}).length, 0);

/** What a page says is left is what the pages after it have. */
function expectExact(found: readonly any[], name: string, list: (data: any) => unknown): void {
  for (const [index, data] of found.entries()) {
    expect(data.left_out?.[name] ?? 0, `page ${index + 1}`).toBe(lengthOf(found.slice(index + 1), list));
  }
}

describe('a run of Ansible on 500 hosts, of which 250 failed ten tasks with long messages', () => {
  let run_id: string;
  beforeAll(async () => {
    const answer = await server.call('run_action', { ...shop, action: 'ansible', wait_seconds: 40 });
    expect(answer.data).toMatchObject({
      finished: true,
      summary: expect.stringContaining('(and 2499 more)'),
    });
    expect(answer.characters / 4).toBeLessThan(6_000);
    run_id = answer.data.run.id;
  });

  it.each([
    {},
    { mode: 'head' },
    { mode: 'grep', pattern: 'm' },
    { lines: 1_000 },
    { failed_task_only: true },
  ])('has pages below 6,000 tokens of its log: %j', async (args) => {
    const { data, characters } = await server.call('read_action_run_log', { run_id, ...args });
    expect(characters / 4).toBeLessThan(6_000);
    expect(data).toMatchObject({ truncated: true, next: expect.any(String) });
  });

  it('counts what its report leaves out, and says how to get it', async () => {
    const { data } = await server.call('read_action_run_log', { run_id, failed_task_only: true });
    const { ansible, lines, matches, next } = data;
    expect(ansible.recap.length + ansible.more_hosts).toBe(500);
    expect(ansible.changed.length + ansible.more_changed).toBe(500);
    expect(ansible.failures.length + ansible.more_failures).toBe(250 * TASKS);
    expect(matches).toBe(251 * TASKS);
    // Where the first page ended, the next one begins.
    const line = Number(/line: (\d+)/.exec(next)![1]);
    const after = await server.call('read_action_run_log', { run_id, failed_task_only: true, line });
    expect(after.data.lines[0].n).toBe(lines.at(-1).n + 1);
    const [, pattern] = /'(failed=[^']*)'/.exec(ansible.all_hosts)!;
    const failed = await server.call('read_action_run_log', { run_id, mode: 'grep', pattern });
    expect(failed.data.matches).toBe(250);
  });

  it('is no longer where its lines are nothing but quotes', async () => {
    const quoted = await server.call('run_action', { ...shop, action: 'quotes', wait_seconds: 40 });
    const { characters } = await server.call('read_action_run_log', { run_id: quoted.data.run.id });
    expect(characters / 4).toBeLessThan(6_000);
    expect(quoted.characters / 4).toBeLessThan(6_000);
  });

  it('has a record that comes whole with the cursor', async () => {
    const found = await pages('get_action_run', { run_id });
    expect(lengthOf(found, ({ run }) => run.pins.config_keys)).toBe(KEYS);
    expectExact(found, 'config_keys', ({ run }) => run.pins.config_keys);
  });

  it('tells its drift in pages where there are some, and else counts what it does not name', async () => {
    const config = Object.fromEntries(Array.from({ length: KEYS }, (_, n) => [`L${n}-${LONG}`, 'w']));
    await writeShop(root.path, config);
    const found = await pages('plan_action', { retrigger_of: run_id });
    const keys = found.flatMap(({ plan }) => plan.drift ?? []).flatMap((entry) => entry.keys ?? []);
    expect(new Set(keys).size).toBe(2 * KEYS);
    const { error } = await server.call('retrigger_action_run', { run_id });
    expect(JSON.stringify(error).length / 4).toBeLessThan(6_000);
    const entry = error!.details.drift.find(({ what }: any) => what === 'config');
    expect(entry.keys.length + entry.more_keys).toBe(2 * KEYS);
  });
});

describe('a workflow of 1,000 steps', () => {
  it('has a record that comes whole with the cursor', async () => {
    const found = await pages('get_action_run', { run_id: workflow });
    const names = found.flatMap(({ relations }) => relations.steps).map(({ name }) => name);
    expect(names).toEqual(Array.from({ length: STEPS }, (_, n) => `s${n}-${LONG}`));
    expect(lengthOf(found, ({ run }) => run.steps)).toBe(STEPS);
    expectExact(found, 'steps', ({ run }) => run.steps);
  });

  it('is waited for in an answer that shows the step that failed, and counts those around it', async () => {
    const { data, characters } = await server.call('wait_for_action_run', { run_id: workflow });
    expect(characters / 4).toBeLessThan(6_000);
    expect(data.steps.map(({ status }: any) => status)).toContain('failed');
    const { before, after, all } = data.steps_left_out;
    expect(before + data.steps.length + after).toBe(STEPS);
    expect(data.steps[0].name).toBe(`s${before}-${LONG}`);
    expect(all).toContain('get_action_run');
  });
});

describe('a plan', () => {
  it('of very many hosts, with a long script, comes whole with the cursor', async () => {
    const found = await pages('plan_action', { ...shop, action: 'long' });
    expect(found.flatMap(({ plan }) => plan.hosts ?? [])).toEqual(HOSTS);
    expect(lengthOf(found, ({ plan }) => plan.script)).toBe(500);
    for (const name of ['hosts', 'script']) expectExact(found, name, ({ plan }) => plan[name]);
    expect(new Set(found.map(({ plan }) => plan.digest)).size).toBe(1);
  });

  it('of very many steps comes whole with the cursor, of each step what it begins with', async () => {
    const found = await pages('plan_action', { workspace: 'shop', workflow: 'many' });
    const steps = found.flatMap(({ plan }) => plan.steps ?? []);
    expect(steps.map(({ name }) => name)).toEqual(Array.from({ length: PLANNED_STEPS }, (_, n) => `s${n}`));
    for (const step of steps) {
      expect(step.hosts.length + step.more_hosts).toBe(HOSTS.length);
      expect(step.script.length + step.more_script).toBe(500);
    }
  });

  it('goes on only with itself: a cursor of another plan is refused', async () => {
    const { data } = await server.call('plan_action', { ...shop, action: 'long' });
    const { error } = await server.call('plan_action', {
      ...shop,
      action: 'ansible',
      cursor: data.next_cursor,
    });
    expect(error).toMatchObject({
      code: 'invalid_argument',
      next: expect.stringContaining('without cursor'),
    });
  });
});

it('a block with a long configuration and very many hosts comes whole with the cursor', async () => {
  const found = await pages('get_block', shop);
  expect(found.flatMap(({ block }) => block.hosts ?? [])).toEqual(HOSTS);
  expect(lengthOf(found, ({ block }) => block.config)).toBe(KEYS);
  for (const name of ['hosts', 'config', 'origin', 'actions'])
    expectExact(found, name, ({ block }) => block[name]);
});
