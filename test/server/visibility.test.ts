import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Two tenants of one server. What the other one is called occurs in `globex` alone, whatever its case.

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: TeamServer;
let all: Visitor;
let acme: Visitor;
let foreign: string;
let own: string;

async function tenant(organization: string): Promise<void> {
  const own = (name: string): string => `${organization}-${name}`;
  const path = await writeWorkspace(root.path, {
    name: 'shop',
    organization,
    rest: {
      description: own('shop'),
      labels: { environment: own('env') },
      workflows: [{ name: own('flow'), steps: [{ name: 'one', block: 'web', action: 'hello' }] }],
    },
    blocks: {
      web: { version: '1.0.0', kind: own('kind'), actions: [script('hello', `echo hello ${own('log')}`), script('wait', 'sleep 300')] },
      [own('block')]: { version: `7.7.7-${organization}`, actions: [script(own('action'), 'exit 3')] },
    },
  });
  await mkdir(join(path, '.logs', '2026-09-01'), { recursive: true });
  const id = randomUUID();
  const event = {
    workspace: 'shop', block: own('logged'), action: own('deed'), date: '2026-09-01T10:00:00Z', exit_code: 0, transaction: id,
    user_name: own('user'), user_email: `${own('user')}@example.org`, hostname: own('host'), output: own('output'), version: '0.23.3',
    labels: { 'monk.event.class': 'polycrate', 'monk.event.level': 'Info' }, command: 'polycrate run',
  };
  await writeFile(join(path, '.logs', '2026-09-01', `${id}.yml`), JSON.stringify(event));
} // prettier-ignore

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('tenants')]);
  await Promise.all([tenant('acme'), tenant('globex')]);
  const env = { ...localSettings(root.path), POLYCRATE_MCP_RATE_LIMIT: 'none' };
  server = await serve({ home: home.path, env });
  const key = async (name: string, ...args: string[]): Promise<Visitor> => {
    const { token } = await makeKey({ home: home.path, name, args });
    return await visit({ url: server.url, token });
  };
  all = await key('globex-admin', '--role', 'admin');
  acme = await key('ci', '--role', 'runner', '--for', 'acme');
  const run = async (visitor: Visitor, workspace: string, block: string, action: string, wait = 30): Promise<string> => {
    const call = { workspace, block, action, wait_seconds: wait, reason: `for ${workspace}` };
    const { data, error } = await visitor.call('run_action', call);
    expect(error).toBeNull();
    return data.run.id as string;
  };
  own = await run(acme, 'shop', 'web', 'hello');
  await run(all, 'globex/shop', 'web', 'hello');
  await run(all, 'globex/shop', 'globex-block', 'globex-action');
  foreign = await run(all, 'globex/shop', 'web', 'wait', 0);
}, 120_000); // prettier-ignore
afterAll(async () => {
  await all.call('cancel_action_run', { run_id: foreign });
  await Promise.all([all.close(), acme.close()]);
  expect(await server.end()).toBe(0);
  await Promise.all([home.remove(), root.remove()]);
});

/** Zero traces of the other tenant, in whatever was answered. */
function clean(what: string, answer: unknown): void {
  const text = JSON.stringify(answer);
  expect(text, what).not.toMatch(/globex/i);
  expect(text, what).not.toContain(foreign);
}

describe('a key of one organization', () => {
  it('finds no trace of another one in the answer of any tool', async () => {
    const SHOP = { workspace: 'shop' };
    const WEB = { ...SHOP, block: 'web', action: 'hello' };
    const calls: [string, object][] = [
      ['get_status', {}],
      ['list_workspaces', {}],
      ['list_workspaces', { query: 'shop' }],
      ['list_workspaces', { organization: 'nobody' }],
      ['list_workspaces', { environment: 'nobody' }],
      ['list_blocks', {}],
      ['list_blocks', { kind: 'nobody-kind' }],
      ['list_blocks', { workspace: 'nothing' }],
      ['get_block', { ...SHOP, block: 'web' }],
      ['get_block', { ...SHOP, block: 'block' }],
      ['plan_action', WEB],
      ['plan_action', { ...SHOP, workflow: 'flow' }],
      ['plan_action', { retrigger_of: own }],
      ['run_action', { ...WEB, action: 'nothing' }],
      ['run_workflow', { ...SHOP, workflow: 'flow' }],
      ['retrigger_action_run', { run_id: own, wait_seconds: 30 }],
      ['wait_for_action_run', { run_id: own }],
      ['cancel_action_run', { run_id: own }],
      ['search_action_runs', {}],
      ['search_action_runs', { include_excluded: true, order: 'oldest', limit: 100 }],
      ...['organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'user', 'host', 'client', 'from'].map(
        (column): [string, object] => ['search_action_runs', { [column]: 'gl0bex-block' }],
      ),
      ['get_action_run', { run_id: own }],
      ['read_action_run_log', { run_id: own }],
      ...['organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'user', 'host', 'client', 'source', 'day'].map(
        (group_by): [string, object] => ['summarize_action_runs', { group_by }],
      ),
      ['trace_versions', {}],
      ['trace_versions', SHOP],
      ['trace_versions', { block: 'web' }],
      ['trace_versions', { during: 'today', action: 'hello' }],
      ...['organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'from'].map(
        (column): [string, object] => ['trace_versions', { [column]: 'gl0bex-block' }],
      ),
      ['find_changes', { at: new Date().toISOString(), limit: 100 }],
      ['find_changes', { at: '2026-09-01T10:00:00Z', after: '10m' }],
      ['find_changes', { at: new Date().toISOString(), ...SHOP, block: 'web' }],
      ...['organization', 'workspace', 'environment', 'block', 'host'].map(
        (column): [string, object] => ['find_changes', { at: '-1h', [column]: 'gl0bex-block' }],
      ),
      ['search_trail', { limit: 100 }],
      ['search_trail', { principal: 'gl0bex-admin' }],
    ];
    for (const [name, args] of calls) {
      const { data, error } = await acme.call(name, args as never);
      clean(`${name} ${JSON.stringify(args)}`, { data, error });
    }
    const { tools } = await acme.client.listTools();
    const walked = new Set(calls.map(([name]) => name));
    expect(tools.map(({ name }) => name).filter((name) => !walked.has(name))).toEqual([]);
  }, 120_000); // prettier-ignore

  it('is told of what it may not see exactly what it is told of what does not exist', async () => {
    const none = '00000000-0000-7000-8000-000000000000';
    const tools = ['get_action_run', 'wait_for_action_run', 'cancel_action_run', 'read_action_run_log', 'retrigger_action_run'];
    const asked: [string, (id: string) => object][] = tools.map((name) => [name, (run_id: string) => ({ run_id })]);
    asked.push(['plan_action', (retrigger_of) => ({ retrigger_of })]);
    asked.push(['get_action_run', (compare_to) => ({ run_id: own, compare_to })]);
    for (const [name, args] of asked) {
      for (const id of [foreign, foreign.slice(0, 20)]) {
        const { error } = await acme.call(name, args(id) as never);
        const unknown = (await acme.call(name, args(none) as never)).error;
        expect(error?.code).toBe('unknown_name');
        expect(JSON.stringify(error).replaceAll(id, none), name).toBe(JSON.stringify(unknown));
      }
    }
    for (const [name, args] of [
      ['list_blocks', (organization: string) => ({ workspace: `${organization}/shop` })],
      ['get_block', (organization: string) => ({ workspace: `${organization}/shop`, block: 'web' })],
      ['run_action', (organization: string) => ({ workspace: `${organization}/shop`, block: 'web', action: 'hello' })],
      ['list_workspaces', (organization: string) => ({ organization })],
      ['search_action_runs', (organization: string) => ({ organization })],
      ['search_action_runs', (organization: string) => ({ block: `${organization}-block` })],
      ['search_action_runs', (organization: string) => ({ user: `${organization}-user` })],
    ] as const) {
      const [theirs, nobody] = [await acme.call(name, args('globex')), await acme.call(name, args('glbbex'))];
      expect(theirs.error?.code, name).toBe('unknown_name');
      const told = (error: any): string => JSON.stringify({ ...error, valid: [...(error.valid ?? [])].sort() });
      expect(told(theirs.error).replaceAll('globex', 'glbbex'), name).toBe(told(nobody.error));
    }
  }, 120_000); // prettier-ignore

  it('completes, reads and is prompted with nothing of another one', async () => {
    const { client } = acme as { client: any };
    const resource = (uri: string, name: string, value: string): Promise<any> =>
      client.complete({ ref: { type: 'ref/resource', uri }, argument: { name, value } });
    const prompt = (name: string, argument: string, value: string): Promise<any> =>
      client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } });
    const BLOCK = 'polycrate://workspaces/{organization}/{workspace}/blocks/{block}';
    for (const value of ['', 'g', 'globex']) {
      for (const name of ['organization', 'workspace', 'block']) clean(name, await resource(BLOCK, name, value));
      for (const [name, argument] of [['audit_question', 'workspace'], ['audit_question', 'user'], ['incident_review', 'environment'], ['safe_runbook', 'block'], ['safe_runbook', 'after']] as const) {
        clean(`${name} ${argument}`, await prompt(name, argument, value));
      }
    }
    const ids = (await resource('polycrate://runs/{run_id}', 'run_id', '')).completion.values as string[];
    expect(ids).toContain(own);
    clean('ids', ids);
    expect((await resource('polycrate://runs/{run_id}', 'run_id', foreign)).completion.values).toEqual([]);
    for (const uri of ['polycrate://workspaces/globex/shop', 'polycrate://workspaces/globex/shop/blocks/web', `polycrate://runs/${foreign}`, `polycrate://runs/${foreign}/log`]) {
      await expect(client.readResource({ uri }), uri).rejects.toMatchObject({ message: expect.stringMatching(/not found/i) as string });
    }
    for (const uri of ['polycrate://workspaces/acme/shop', `polycrate://runs/${own}`, `polycrate://runs/${own}/log`]) {
      clean(uri, await client.readResource({ uri }));
    }
  }, 120_000); // prettier-ignore

  it('counts its own runs and nothing else', async () => {
    const counts = async (visitor: Visitor): Promise<Record<string, number>> => {
      const { data } = await visitor.call('summarize_action_runs', { group_by: 'organization' });
      return Object.fromEntries(data.groups.map(({ key, runs }: any) => [key.organization, runs]));
    };
    const whole = await counts(all);
    expect(whole['globex']).toBe(4);
    expect(await counts(acme)).toEqual({ acme: whole['acme'] });
    // Both tenants have a block web in 1.0.0 that ran, a log of the CLI, and globex one more.
    const traced = async (visitor: Visitor): Promise<number> => (await visitor.call('trace_versions', {})).data.total;
    expect([await traced(all), await traced(acme)]).toEqual([5, 2]);
    const changed = async (visitor: Visitor): Promise<number> => (await visitor.call('find_changes', { at: new Date().toISOString() })).data.total;
    expect(await changed(acme)).toBe((await changed(all)) - 3);
    const { data: found } = await acme.call('search_action_runs', { include_excluded: true });
    const { data: status } = await acme.call('get_status');
    expect(status.ledger.runs.total).toBe(found.total);
    expect(status.workspaces).toEqual({ found: 1, with_problems: 0 });
    expect(status.sources.filter(({ source }: any) => source === 'logs')).toMatchObject([{ endpoint: 'acme/shop', runs: 1 }]);
  }); // prettier-ignore

  it('cannot go on with the cursor of an answer that saw more', async () => {
    for (const name of ['search_action_runs', 'list_workspaces', 'list_blocks', 'summarize_action_runs', 'search_trail', 'trace_versions', 'find_changes']) {
      const own = { summarize_action_runs: { group_by: 'action' }, find_changes: { at: new Date().toISOString() } }[name];
      const args = { limit: 1, ...own };
      const { data } = await all.call(name, args);
      expect(data.next_cursor, name).not.toBeNull();
      const { error } = await acme.call(name, { ...args, cursor: data.next_cursor });
      expect(error, name).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('cursor') as string });
    }
  }); // prettier-ignore
});

it('only who may see everything sees the calls of others', async () => {
  const seen = async (visitor: Visitor): Promise<Set<string>> =>
    new Set((await visitor.call('search_trail', { limit: 100 })).data.calls.map(({ principal }: any) => principal as string));
  expect(await seen(acme)).toEqual(new Set(['ci']));
  expect(await seen(all)).toEqual(new Set(['ci', 'globex-admin']));
  const { token } = await makeKey({ home: home.path, name: 'reads', args: ['--role', 'reader'] });
  const reader = await visit({ url: server.url, token });
  await reader.call('get_status');
  expect(await seen(reader)).toEqual(new Set(['reads']));
  // Without a scope it sees all workspaces, though.
  expect((await reader.call('list_workspaces')).data.total).toBe(2);
  await reader.close();
}); // prettier-ignore

describe.each(['modern', 'legacy'] as const)('updates of runs in the era %s', (era) => {
  it('reach who subscribed, and nobody who may not see the run', async () => {
    const { token } = await makeKey({ home: home.path, name: `${era}-acme`, args: ['--role', 'runner', '--for', 'acme'] });
    const reader = await visit({ url: server.url, token, era });
    const client = reader.client as any;
    const told: string[] = [];
    const first = new Promise<void>((resolve) => {
      client.setNotificationHandler('notifications/resources/updated', ({ params }: any) => {
        told.push(params.uri);
        resolve();
      });
    });
    const { data } = await acme.call('run_action', { workspace: 'shop', block: 'web', action: 'wait', wait_seconds: 0 });
    const [mine, theirs] = [data.run.id, foreign].map((id) => `polycrate://runs/${id}`) as [string, string];
    if (era === 'modern') await client.listen({ resourceSubscriptions: [theirs, mine] });
    else {
      await expect(client.subscribeResource({ uri: theirs })).rejects.toMatchObject({ code: -32602 });
      await client.subscribeResource({ uri: mine });
    }
    await acme.call('cancel_action_run', { run_id: data.run.id });
    await first;
    expect(new Set(told)).toEqual(new Set([mine]));
    await reader.close();
  }, 120_000);
}); // prettier-ignore
