import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fillLedger } from '../support/fill-ledger.ts';
import { connect, ERAS, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';
import type { ActionRun } from '../../src/runs/action-run.ts';

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;
let runs: ActionRun[];

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: {
      description: 'Web shop',
      labels: { environment: 'production' },
      extraenv: ['API_TOKEN=envsecretvalue1'],
      blocks: [{ name: 'db', config: { size: 3, admin_password: 'workspacesecret' } }],
    },
    blocks: {
      db: {
        version: '1.2.3',
        kind: 'generic',
        from: 'cargo.example.com/base/postgres:9.1',
        config: {
          admin_password: 'blocksecret99',
          size: 1,
          nested: { api_key: 'nestedsecret', port: 5432 },
          users: [{ name: 'a', token: 'listsecret77' }],
          reference: { password: "{{ lookup('env', 'X') }}" },
        },
        actions: [script('restart', 'true'), script('status', 'true')],
      },
      'cargo.example.com/base/postgres': {
        version: '9.1',
        template: true,
        actions: [script('dump', 'true')],
      },
      'cargo.example.com/base/redis': { version: '7', kind: 'k8sapp', actions: [script('flush', 'true')] },
      broken: { actions: [{ name: 'both', script: ['true'], playbook: 'x.yml' }] },
    },
    files: { 'inventory.yml': 'all:\n  hosts:\n    web-1:\n    web-2:\n', 'artifacts/secrets/db.key': 'k' },
  });
  await writeWorkspace(root.path, { name: 'shop', organization: 'globex' });
  for (let n = 10; n < 34; n++) await writeWorkspace(root.path, { name: `site-${n}`, organization: 'many' });
  runs = await fillLedger(home.path, [
    { requested_at: Date.UTC(2026, 8, 1), block: 'cargo.example.com/base/redis', display: 'alice' },
  ]);
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
const names = (rows: any[]): string[] => rows.map(({ name }) => name);

describe('list_workspaces', () => {
  it('pages through all without gap or double', async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await ask('list_workspaces', { limit: 10, cursor });
      expect(page).toMatchObject({ total: 26, returned: page.workspaces.length });
      seen.push(...page.workspaces.map(({ organization, name }: any) => `${organization}/${name}`));
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(26);
    expect(new Set(seen).size).toBe(26);
  });

  it.each([
    [{ organization: 'acme' }, ['shop']],
    [{ organization: 'ACME' }, ['shop']],
    [{ environment: 'Production' }, ['shop']],
    [{ query: 'web SHOP' }, ['shop']],
    [{ query: 'SITE-1', limit: 2 }, ['site-10', 'site-11']],
    [{ query: 'nothing like it' }, []],
  ])('%j', async (args, expected) => {
    expect(names((await ask('list_workspaces', args)).workspaces)).toEqual(expected);
  });

  it('shows environment, counts and problems of a workspace', async () => {
    const [shop] = (await ask('list_workspaces', { organization: 'acme' })).workspaces;
    expect(shop).toMatchObject({
      organization: 'acme',
      environment: { value: 'production', origin: 'label' },
      blocks: 4,
      workflows: [],
      git: null,
      source: 'local',
    });
    expect(shop).not.toHaveProperty('runnable');
  });

  it.each([
    ['organization', 'acne', 'acme'],
    ['environment', 'produktion', 'production'],
  ])('refuses an unknown %s with the closest', async (argument, wrong, right) => {
    const error = await refused('list_workspaces', { [argument]: wrong });
    expect(error.code).toBe('unknown_name');
    expect(error.message).toContain(argument);
    expect(error.valid[0]).toBe(right);
  });

  it('refuses the cursor of another question', async () => {
    const { next_cursor } = await ask('list_workspaces', { limit: 5 });
    expect((await refused('list_workspaces', { limit: 5, query: 'site', cursor: next_cursor })).code).toBe('invalid_argument');
    expect((await refused('list_blocks', { cursor: next_cursor })).code).toBe('invalid_argument');
  }); // prettier-ignore
});

describe('list_blocks', () => {
  it.each([
    [
      { workspace: 'acme/shop' },
      ['broken', 'cargo.example.com/base/postgres', 'cargo.example.com/base/redis', 'db'],
    ],
    [{ query: 'FLUSH' }, ['cargo.example.com/base/redis']],
    [{ kind: 'k8sapp' }, ['cargo.example.com/base/redis']],
    [{ from: 'cargo.example.com/base/postgres:9.1' }, ['db']],
    [{ from: 'cargo.example.com/base/postgres' }, ['db']],
    [{ from: 'base/postgres:9.1' }, ['db']],
    [{ from: 'base/postgres' }, ['db']],
    [{ from: 'Postgres' }, ['db']],
    [{ workspace: 'globex/shop' }, []],
  ])('%j', async (args, expected) => {
    const { blocks, total } = await ask('list_blocks', args);
    expect(names(blocks).sort()).toEqual(expected);
    expect(total).toBe(expected.length);
  });

  it('names the actions, and what is wrong with one of them', async () => {
    const { blocks } = await ask('list_blocks', { workspace: 'acme/shop' });
    const block = (name: string): any => blocks.find((one: any) => one.name === name);
    expect(names(block('db').actions)).toEqual(expect.arrayContaining(['restart', 'status', 'dump']));
    expect(block('broken').actions[0]).toMatchObject({
      name: 'both',
      problem: expect.stringMatching(/both/),
    });
    expect(block('cargo.example.com/base/postgres')).toMatchObject({ template: true });
  });

  it.each([
    ['kind', 'k8sap', 'k8sapp'],
    ['from', 'base/postgress', 'base/postgres'],
    ['workspace', 'acme/shopp', 'acme/shop'],
  ])('refuses an unknown %s with the closest', async (argument, wrong, right) => {
    const error = await refused('list_blocks', { [argument]: wrong });
    expect(error.code).toBe('unknown_name');
    expect(error.valid).toContain(right);
  });
});

describe('get_block', () => {
  it('shows the merged configuration with secrets masked and origins', async () => {
    const { block } = await ask('get_block', { workspace: 'acme/shop', block: 'db' });
    expect(block).toMatchObject({
      name: 'db',
      version: '1.2.3',
      from: 'cargo.example.com/base/postgres:9.1',
      inventory: 'inventory.yml',
      hosts: ['web-1', 'web-2'],
      secret_files: ['db.key'],
      config: {
        size: 3,
        admin_password: '[secret]',
        nested: { api_key: '[secret]', port: 5432 },
        users: [{ name: 'a', token: '[secret]' }],
        reference: { password: "{{ lookup('env', 'X') }}" },
      },
      origin: { 'config.size': 'workspace.poly', version: 'blocks/db/block.poly' },
    });
  });

  it('takes name:version, and a name without registry host', async () => {
    for (const block of ['db:1.2.3', 'base/redis', 'base/redis:7', 'cargo.example.com/base/redis:7']) {
      expect((await ask('get_block', { workspace: 'acme/shop', block })).block.actions.length).toBeGreaterThan(0);
    }
    expect((await refused('get_block', { workspace: 'acme/shop', block: 'db:9.9' })).valid).toEqual(['db:1.2.3']);
  }); // prettier-ignore

  it('refuses an ambiguous workspace with the candidates', async () => {
    const error = await refused('get_block', { workspace: 'shop', block: 'db' });
    expect(error).toMatchObject({ code: 'ambiguous_name', valid: ['acme/shop', 'globex/shop'] });
    expect(error.next).toContain('organization/name');
  });
});

it('a resource of files may be kept for a second by whoever read it', async () => {
  const read = await server.client.readResource({ uri: 'polycrate://workspaces/acme/shop' });
  expect(read).toMatchObject({ ttlMs: 1_000, cacheScope: 'public' });
});

it('nothing a client can ask for shows a secret', async () => {
  const answers = await Promise.all([
    ask('list_workspaces', { limit: 100 }),
    ask('list_blocks', { limit: 100 }),
    ask('get_block', { workspace: 'acme/shop', block: 'db' }),
    ask('plan_action', { workspace: 'acme/shop', block: 'db', action: 'restart' }),
    ask('get_status'),
    server.client.readResource({ uri: 'polycrate://workspaces/acme/shop' }),
    server.client.readResource({ uri: 'polycrate://workspaces/acme/shop/blocks/db' }),
  ]);
  const text = JSON.stringify(answers);
  for (const secret of [
    'envsecretvalue1',
    'workspacesecret',
    'blocksecret99',
    'nestedsecret',
    'listsecret77',
  ])
    expect(text).not.toContain(secret);
});

it('get_status says what the server can do', async () => {
  expect(await ask('get_status')).toMatchObject({
    server: { name: 'polycrate-mcp', timezone: 'Europe/Berlin', open_here: 0 },
    workspaces: { found: 26, roots: [root.path] },
    executors: [{ kind: 'local', available: true }],
    ledger: { kind: 'sqlite', runs: { total: 1, open: 0 }, writable: true, problem: null },
    policy: { run_mode: 'trusted' },
  });
});

describe.each(ERAS)('resources in the %s era', (era) => {
  let other: Connection;
  beforeAll(async () => {
    other = await connect({ home: home.path, env: localSettings(root.path), era });
  });
  afterAll(() => other.close());

  const read = async (uri: string): Promise<any> => {
    const { contents } = await other.client.readResource({ uri });
    expect(contents).toHaveLength(1);
    expect(contents[0]!.uri).toBe(uri);
    return (contents[0] as { text: string }).text;
  };

  it('are templates for workspaces, blocks, runs and logs', async () => {
    const { resourceTemplates } = await other.client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate).sort()).toEqual([
      'polycrate://runs/{run_id}',
      'polycrate://runs/{run_id}/log',
      'polycrate://workspaces/{organization}/{workspace}',
      'polycrate://workspaces/{organization}/{workspace}/blocks/{block}',
    ]);
  });

  it('can be read, with percent-encoded names', async () => {
    expect(JSON.parse(await read('polycrate://workspaces/acme/shop'))).toMatchObject({ name: 'shop' });
    const block = encodeURIComponent('cargo.example.com/base/redis');
    expect(JSON.parse(await read(`polycrate://workspaces/acme/shop/blocks/${block}`))).toMatchObject({ version: '7' });
    const run = JSON.parse(await read(`polycrate://runs/${runs[0]!.id}`));
    expect(run).toMatchObject({ id: runs[0]!.id, requested_at: '2026-09-01T00:00:00.000Z' });
    expect(await read(`polycrate://runs/${runs[0]!.id}/log`)).toBe('');
  }); // prettier-ignore

  it.each([
    'polycrate://workspaces/acme/nowhere',
    'polycrate://workspaces/acme/shop/blocks/nothing',
    'polycrate://workspaces/acme/shop/blocks/..%2F..%2Fetc',
    'polycrate://runs/00000000-0000-7000-8000-000000000000',
    'polycrate://runs/00000000-0000-7000-8000-000000000000/log',
    'polycrate://runs/%E0%A4%A/log',
    'polycrate://elsewhere/x',
    'file:///etc/passwd',
  ])('%s is a protocol error', async (uri) => {
    await expect(other.client.readResource({ uri })).rejects.toMatchObject({
      code: expect.toSatisfy((code) => code === -32602 || code === -32002),
    });
  });

  it('complete their variables', async () => {
    const complete = async (uri: string, name: string, value: string, given?: Record<string, string>): Promise<any> =>
      (
        await other.client.complete({
          ref: { type: 'ref/resource', uri },
          argument: { name, value },
          ...(given && { context: { arguments: given } }),
        })
      ).completion.values;
    const block = 'polycrate://workspaces/{organization}/{workspace}/blocks/{block}';
    expect(await complete(block, 'organization', 'g')).toEqual(['globex']);
    expect(await complete(block, 'workspace', 's', { organization: 'acme' })).toEqual(['shop']);
    expect(await complete(block, 'workspace', 'site-1', { organization: 'many' })).toHaveLength(10);
    expect(await complete(block, 'block', 'd', { workspace: 'shop' })).toEqual(['db']);
    const prefix = runs[0]!.id.slice(0, 8).toUpperCase();
    expect(await complete('polycrate://runs/{run_id}', 'run_id', prefix)).toEqual([runs[0]!.id]);
    expect(await complete('polycrate://runs/{run_id}', 'run_id', 'zzz')).toEqual([]);
  }); // prettier-ignore
});
