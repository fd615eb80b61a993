import { lstat, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBlock, findWorkspace } from '../../src/workspaces/find.ts';
import { addressOf, workspaceBlockerOf } from '../../src/workspaces/workspace.ts';
import { type Folder, storeOf, temporaryFolder } from './workspace-store-folders.ts';

const matching = (expected: RegExp): unknown => expect.stringMatching(expected);
const containing = (expected: string): unknown => expect.stringContaining(expected);

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: true });
});
afterEach(() => folder.remove());

describe('a whole workspace', () => {
  test('is read with defaults, environment, mounts and workflows', async () => {
    const shop = findWorkspace(await folder.store().list(), 'shop');
    expect(shop).toMatchObject({
      name: 'shop',
      organization: 'acme',
      path: folder.path('acme/shop'),
      environment: { value: 'production', origin: 'label' },
      extraenv: { REGION: 'eu-central', QUERY: 'a=b' },
      extramounts: [{ host: '/opt/certificates', container: '/certificates' }],
      runnable: true,
      problems: [],
    });
    expect(shop.config).toEqual({
      image: 'cargo.ayedo.cloud/library/polycrate:0.40.0',
      blocksroot: 'blocks',
      artifactsroot: 'artifacts',
      containerroot: '/workspace',
      sshprivatekey: 'id_rsa',
      sshpublickey: 'id_rsa.pub',
      dockerfile: 'Dockerfile.poly',
      logsroot: '.logs',
      workflowsroot: 'workflows',
      remoteroot: '/polycrate',
      globals: {},
      logging: null,
    });
    expect(shop.workflows).toMatchObject([
      {
        name: 'release',
        prompt: 'Release the shop?',
        problem: null,
        steps: [{ name: 'database' }, { name: 'web' }],
      },
      { name: 'unfinished', problem: containing('no action "celebrate"') },
    ]);
  });

  test('its blocks are effective: explicit empty values win, versions stay as written', async () => {
    const shop = findWorkspace(await folder.store().list(), 'acme/shop');
    expect(shop.blocks.map((block) => block.name)).toEqual([
      'db-orders',
      'web-eu',
      'notes',
      'cargo.example.com/acme/webapp',
      'postgres',
    ]);
    expect(findBlock(shop, 'db-orders')).toMatchObject({
      version: '15.10',
      from: 'postgres:15.10',
      template: false,
      dir: 'blocks/postgres',
      config: { port: 5433, backup: { enabled: false, keep_days: 14 }, extensions: [] },
    });
    expect(findBlock(shop, 'db-orders').actions).toMatchObject([
      { name: 'restart', playbook: 'playbooks/restart.yml', prompt: 'Restart the orders database?' },
      { name: 'migrate' },
      { name: 'status', kind: 'script', script: ['pg_isready'], alias: ['state'] },
    ]);
    expect(findBlock(shop, 'web-eu')).toMatchObject({
      kind: 'k8sappinstance',
      version: '1.10',
      app_version: '24.04',
      config: { replicas: 0, host: 'eu.shop.example', region: 'eu' },
      origin: { 'config.region': 'workspace.poly (from cargo.example.com/acme/webapp)' },
    });
    expect(findBlock(shop, 'notes')).toMatchObject({ dir: null, dirs: [], actions: [{ name: 'greet' }] });
  });

  test('one bad block never hides the others', async () => {
    const mixed = findWorkspace(await folder.store().list(), 'mixed');
    expect(mixed.organization).toBeNull();
    expect(findBlock(mixed, 'good').problems).toEqual([]);
    expect(findBlock(mixed, 'good').actions.map((action) => action.problem)).toEqual([
      null,
      matching(/^blocks\/good\/block\.poly:6: has both/),
    ]);
    const found = mixed.problems.map(({ severity, file, line }) => `${severity} ${file}:${line}`);
    expect(found).toEqual([
      'warning workspace.poly:1',
      'error blocks/nameless/block.poly:1',
      'error workspace.poly:4',
      'error workspace.poly:6',
      'error workspace.poly:8',
      'error blocks/tabbed/block.poly:3',
    ]);
    expect(workspaceBlockerOf(mixed)).toBeNull();
  });
});

describe('where workspaces are found', () => {
  const addresses = async (roots: { path: string; named: boolean }[]): Promise<string[]> =>
    (await storeOf(roots).list()).map((found) => `${addressOf(found)} ${found.runnable}`);

  test('a root itself, or NAME or ORGANIZATION/NAME below it, not deeper and not hidden', async () => {
    await folder.write('flat/workspace.poly', 'name: flat\norganization: acme\n');
    await folder.write('acme/.hidden/workspace.poly', 'name: hidden\norganization: acme\n');
    await folder.write('too/deep/down/workspace.poly', 'name: deep\norganization: acme\n');
    await folder.write('acme/note.txt', 'not a folder');
    expect(await addresses([{ path: folder.root, named: true }])).toEqual([
      '-/mixed true',
      'acme/flat true',
      'acme/shop true',
    ]);
    expect(await addresses([{ path: folder.path('acme/shop'), named: true }])).toEqual(['acme/shop true']);
  });

  test('the current folder is listed but runs nothing until it is named', async () => {
    const here = { path: folder.path('acme/shop'), named: false };
    expect(await addresses([here])).toEqual(['acme/shop false']);
    expect(await addresses([{ path: folder.path('acme'), named: false }])).toEqual([]);
    expect(await addresses([here, { path: folder.path('acme'), named: true }])).toContain('acme/shop true');
  });

  test('one folder reached on two ways is listed once', async () => {
    await symlink(folder.path('acme/shop'), folder.path('linked'));
    await symlink(folder.root, folder.path('acme/loop'));
    const found = await addresses([
      { path: folder.root, named: true },
      { path: folder.path('linked'), named: true },
    ]);
    expect(found).toEqual(['-/mixed true', 'acme/shop true']);
  });

  test('two folders with one address say so and neither can be named', async () => {
    await folder.write('copy/workspace.poly', 'name: shop\norganization: acme\n');
    const list = await folder.store().list();
    const twins = list.filter((found) => found.name === 'shop');
    expect(twins).toHaveLength(2);
    for (const twin of twins) expect(workspaceBlockerOf(twin)).toMatch(/also the address of/);
    expect(() => findWorkspace(list, 'acme/shop')).toThrow(/names 2 workspaces/);
  });

  test('missing and unreadable roots are problems, the others are still listed', async () => {
    const roots = [folder.path('gone'), folder.path('acme/shop/workspace.poly'), folder.path('acme/shop')];
    const store = storeOf(roots.map((path) => ({ path, named: true })));
    expect((await store.list()).map(addressOf)).toEqual(['acme/shop']);
    expect(await store.problems()).toMatchObject([
      { file: folder.path('gone'), message: 'does not exist' },
      { file: folder.path('acme/shop/workspace.poly'), message: 'is not a folder' },
    ]);
    expect(await storeOf([{ path: folder.path('gone'), named: false }]).problems()).toEqual([]);
  });
});

describe('environment', () => {
  const environmentOf = async (content: string, configured?: string): Promise<unknown> => {
    await folder.write('env/workspace.poly', `name: env1\norganization: acme\n${content}`);
    return findWorkspace(await folder.store(configured).list(), 'env1').environment;
  };
  const block = (name: string, env: string): string => `  - name: ${name}\n    config: { env: ${env} }\n`;

  test('a label, then the configured map, then blocks that agree', async () => {
    await folder.write('environments.yml', 'acme/env1: staging\n');
    const map = folder.path('environments.yml');
    expect(await environmentOf('labels: { Env: test }\n', map)).toEqual({ value: 'test', origin: 'label' });
    expect(await environmentOf(`blocks:\n${block('b1', 'dev')}`, map)).toEqual({
      value: 'staging',
      origin: 'configured',
    });
    expect(await environmentOf(`blocks:\n${block('b1', 'dev')}${block('b2', 'dev')}`)).toEqual({
      value: 'dev',
      origin: 'block_config',
    });
    expect(await environmentOf(`blocks:\n${block('b1', 'dev')}${block('b2', 'test')}`)).toBeNull();
    expect(await environmentOf('')).toBeNull();
  });
});

describe('the map of environments', () => {
  test.each([
    ['[staging]\n', 'holds no mapping'],
    ['acme/env1: [a]\n', ':1: expected the name of an environment, found a list'],
    ['acme/env1: a\n  b: c\n', ':1: Nested mappings'],
  ])('is refused with file and line when it is wrong: %j', async (content, message) => {
    await folder.write('wrong.yml', content);
    const path = folder.path('wrong.yml');
    await expect(folder.store(path).list()).rejects.toThrow(`POLYCRATE_MCP_ENVIRONMENTS: ${path}`);
    await expect(folder.store(path).list()).rejects.toThrow(message);
  });

  test('is refused when it is not there', async () => {
    await expect(folder.store(folder.path('none.yml')).list()).rejects.toThrow('cannot be read');
  });
});

describe('changes on disk', () => {
  test('an unchanged workspace is the same object, a changed one shows at the next call', async () => {
    const old = new Date(Date.now() - 60_000);
    const path = folder.path('acme/shop/blocks/postgres/block.poly');
    let now = Date.now() + 10_000;
    const { createWorkspaceFiles } = await import('../../src/adapters/workspace-files/index.ts');
    const roots = [{ path: folder.root, named: true }];
    const store = createWorkspaceFiles({
      roots,
      environmentsFile: null,
      clock: { now: () => now },
      log: () => undefined,
    });
    const shop = async () => findWorkspace(await store.list(), 'shop');
    const first = await shop();
    expect(await shop()).toBe(first);

    await writeFile(path, 'name: postgres\nversion: "16"\n');
    await utimes(path, old, old);
    now += 10_000;
    expect(findBlock(await shop(), 'postgres').version).toBe('16');

    await rm(path);
    expect((await shop()).blocks.some((block) => block.name === 'postgres')).toBe(false);
    await folder.write('acme/shop/blocks/late/block.poly', 'name: late\n');
    expect(findBlock(await shop(), 'late').dir).toBe('blocks/late');
  });

  test('two writes within one tick of the clock are both seen', async () => {
    const store = folder.store();
    const path = folder.path('acme/shop/blocks/postgres/block.poly');
    for (const version of ['21', '22', '23', '24', '25']) {
      await writeFile(path, `name: postgres\nversion: ${version}\n`);
      expect(findBlock(findWorkspace(await store.list(), 'shop'), 'postgres').version).toBe(version);
    }
  });

  test('a moved workspace is found at its new place only', async () => {
    const store = folder.store();
    await store.list();
    await rename(folder.path('acme/shop'), folder.path('shop2'));
    expect(findWorkspace(await store.list(), 'shop').path).toBe(folder.path('shop2'));
  });

  test('reading changes nothing', async () => {
    const state = async (): Promise<string[]> => {
      const names = (await readdir(folder.root, { recursive: true })).sort();
      const stats = await Promise.all(names.map((name) => lstat(folder.path(name), { bigint: true })));
      return names.map((name, index) => `${name} ${stats[index]?.ctimeNs} ${stats[index]?.mode}`);
    };
    const before = await state();
    const store = folder.store();
    const shop = findWorkspace(await store.list(), 'shop');
    await store.inspect(shop, findBlock(shop, 'db-orders'));
    expect(await state()).toEqual(before);
  });
});
