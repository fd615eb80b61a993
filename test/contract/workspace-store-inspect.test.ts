import { appendFile, chmod, mkdir, rm, symlink, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AppError } from '../../src/shared/errors.ts';
import { sha256 } from '../../src/shared/json.ts';
import { findBlock, findWorkspace } from '../../src/workspaces/find.ts';
import type { BlockFiles } from '../../src/workspaces/workspace-store.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';

const containing = (expected: string): unknown => expect.stringContaining(expected);
const including = (expected: unknown[]): unknown => expect.arrayContaining(expected);

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: true });
});
afterEach(() => folder.remove());

async function inspect(block: string, workspace = 'shop'): Promise<BlockFiles> {
  const store = folder.store();
  const found = findWorkspace(await store.list(), workspace);
  return store.inspect(found, findBlock(found, block));
}

async function refusal(block: string): Promise<AppError> {
  return inspect(block).then(
    () => expect.fail('was not refused'),
    (error: unknown) => error as AppError,
  );
}

const shop = (path: string): string => folder.path(`acme/shop/${path}`);

describe('inventory', () => {
  test('the workspace has one for all, a block may have its own', async () => {
    const orders = await inspect('db-orders');
    expect(orders.inventory?.relative).toBe('inventory.yml');
    expect(orders.hosts).toEqual(['bastion.example', 'db1.example', 'db2.example']);
    const web = await inspect('web-eu');
    expect(web.inventory).toEqual({
      relative: 'artifacts/blocks/web-eu/inventory.yml',
      digest: sha256('[web]\nweb[01:03].example\nweb9.example ansible_port=2222\n[web:vars]\nsize=big\n'),
    });
    expect(web.hosts).toEqual(['web01.example', 'web02.example', 'web03.example', 'web9.example']);
  });

  test('none at all: the one of the image is used', async () => {
    await rm(shop('inventory.yml'));
    expect(await inspect('notes')).toMatchObject({ inventory: null, hosts: null });
  });

  test('another block may lend its own, and a circle of lenders is refused', async () => {
    const lender = (name: string, from: string): string =>
      `  - name: ${name}\n    inventory: { from: ${from} }\n`;
    const entries = lender('one', 'two') + lender('two', 'web-eu') + lender('l1', 'l2') + lender('l2', 'l1');
    await folder.write(
      'lend/workspace.poly',
      `name: lend\norganization: acme\nblocks:\n${entries}  - name: web-eu\n  - name: typo\n    inventory: { from: web-us }\n`,
    );
    await folder.write('lend/artifacts/blocks/web-eu/inventory.yml', 'all: { hosts: { h1: } }\n');
    expect((await inspect('one', 'lend')).hosts).toEqual(['h1']);
    await expect(inspect('l1', 'lend')).rejects.toThrow(/inventory\.from is circular: l1 → l2 → l1/);
    await expect(inspect('typo', 'lend')).rejects.toMatchObject({
      code: 'unknown_name',
      valid: including(['web-eu']),
    });
  });

  test.each(['../../secret.yml', '/etc/hosts', 'a/../../../b'])(
    'a filename of %s is refused',
    async (filename) => {
      const block = `name: odd\ninventory:\n  filename: ${filename}\n`;
      await folder.write('acme/shop/blocks/odd/block.poly', block);
      expect(await refusal('odd')).toMatchObject({
        code: 'refused',
        message: containing('not a path inside'),
      });
    },
  );

  test('a link out of the workspace is refused, one inside is used', async () => {
    await folder.write('outside.yml', 'all: { hosts: { evil: } }\n');
    await rm(shop('inventory.yml'));
    await symlink(folder.path('outside.yml'), shop('inventory.yml'));
    expect(await refusal('notes')).toMatchObject({
      code: 'refused',
      message: containing('leads out'),
    });
    await rm(shop('inventory.yml'));
    await symlink('artifacts/blocks/web-eu/inventory.yml', shop('inventory.yml'));
    expect((await inspect('notes')).hosts).toContain('web03.example');
  });

  test.each<[string, string, RegExp]>([
    ['a script', '#!/bin/sh\necho {}\n', /inventory\.yml is a script, which only tells/],
    ['a plugin', 'plugin: hetzner.hcloud.hcloud\n', /is the configuration of a plugin/],
    ['broken', 'all: [\n', /cannot be read: line \d/],
    ['an alias bomb', `a: &a [x, x]\n${'b: [*a, *a\n'}`, /cannot be read: line \d/],
    ['encrypted', '$ANSIBLE_VAULT;1.1;AES256\n6162\n', /encrypted with Ansible Vault/],
    ['far too many', 'web[1:9000000]\n', /more than 20000 hosts/],
    ['many ranges', 'a[1:99][1:99][1:99]\n', /more than 20000 hosts/],
    ['words behind a host', 'db1 ; x\n', /line 1: behind a host, only name=value/],
    ['too large', `# ${'x'.repeat(1024 * 1024)}\n`, /larger than 1024 KiB/],
  ])('why the hosts of %s are not known', async (_case, content, why) => {
    await folder.write('acme/shop/inventory.yml', content);
    expect(await inspect('notes')).toMatchObject({
      hosts: null,
      groups: null,
      hosts_unknown: expect.stringMatching(why),
    });
  });

  test.each<[string, string, readonly string[]]>([
    ['empty INI', '[web]\n# nobody\n', []],
    [
      'children of children',
      'all:\n  children:\n    a: { children: { b: { hosts: { h1: , h2: } } }, hosts: { h1: } }\n',
      ['h1', 'h2'],
    ],
    [
      'INI',
      'lonely.example:2222 a=b\n[db]\ndb1 # x\n[all:children]\ndb\n[web] # front\nweb1\n',
      ['lonely.example', 'db1', 'web1'],
    ],
  ])('hosts of %s', async (_case, content, hosts) => {
    await folder.write('acme/shop/inventory.yml', content);
    expect((await inspect('notes')).hosts).toEqual(hosts);
  });

  test('all hosts of a long inventory', async () => {
    const lines = Array.from({ length: 500 }, (_, index) => `    h${index}:`).join('\n');
    await folder.write('acme/shop/inventory.yml', `all:\n  hosts:\n${lines}\n`);
    expect((await inspect('notes')).hosts).toHaveLength(500);
  });
});

describe('other files', () => {
  test('secrets by name, the block first, encrypted ones apart', async () => {
    const orders = await inspect('db-orders');
    expect(orders.secrets).toEqual({
      id_rsa: 'artifacts/secrets/id_rsa',
      'token.txt': 'artifacts/secrets/db-orders/token.txt',
    });
    expect(orders.encrypted).toEqual(['artifacts/secrets/licence.txt.age']);
    expect((await inspect('notes')).secrets).toEqual({
      id_rsa: 'artifacts/secrets/id_rsa',
      'token.txt': 'artifacts/secrets/token.txt',
      'db-orders/token.txt': 'artifacts/secrets/db-orders/token.txt',
    });
  });

  test('an encrypted file with its plain one beside it is not missing, encrypted overrides are', async () => {
    await folder.write('acme/shop/artifacts/secrets/licence.txt', 'open');
    await folder.write('acme/shop/secrets.poly.age', 'locked');
    expect((await inspect('notes')).encrypted).toEqual(['secrets.poly.age']);
    await folder.write('acme/shop/secrets.poly', 'blocks: []');
    expect((await inspect('notes')).encrypted).toEqual([]);
  });

  test('the SSH key lies in the root or, newer, among the secrets', async () => {
    expect((await inspect('notes')).ssh_key?.relative).toBe('artifacts/secrets/id_rsa');
    await folder.write('acme/shop/id_rsa', 'x');
    expect((await inspect('notes')).ssh_key).toEqual({ relative: 'id_rsa', digest: sha256('x') });
    await rm(shop('id_rsa'));
    await symlink('/etc/hostname', shop('id_rsa'));
    expect((await refusal('notes')).code).toBe('refused');
  });

  test('kubeconfig: block artifacts, secrets of the block, secrets of all, the block k8s', async () => {
    const places = [
      'artifacts/blocks/k8s',
      'artifacts/secrets',
      'artifacts/secrets/web-eu',
      'artifacts/blocks/web-eu',
    ];
    expect((await inspect('web-eu')).kubeconfig).toBeNull();
    for (const place of places) {
      await folder.write(`acme/shop/${place}/kubeconfig.yml`, place);
      expect((await inspect('web-eu')).kubeconfig).toEqual({
        relative: `${place}/kubeconfig.yml`,
        digest: sha256(place),
      });
    }
  });

  test('Dockerfile.poly is found', async () => {
    expect((await inspect('notes')).dockerfile).toBeNull();
    await folder.write('acme/shop/Dockerfile.poly', 'FROM scratch\n');
    expect((await inspect('notes')).dockerfile?.relative).toBe('Dockerfile.poly');
  });
});

describe('the digest of a block', () => {
  const digest = async (block = 'db-orders'): Promise<string> => (await inspect(block)).block_digest;

  test('changes with content, names, the executable bit and targets of links, also in parents', async () => {
    const seen = new Set([await digest()]);
    const changes: (() => Promise<unknown>)[] = [
      () => appendFile(shop('blocks/postgres/playbooks/restart.yml'), '\n'),
      () => folder.write('acme/shop/blocks/postgres/files/new', ''),
      () => chmod(shop('blocks/postgres/playbooks/restart.yml'), 0o755),
      () => symlink('playbooks', shop('blocks/postgres/link')),
      () => rm(shop('blocks/postgres/link')).then(() => symlink('/etc', shop('blocks/postgres/link'))),
      () =>
        rm(shop('blocks/postgres/files/new')).then(() =>
          folder.write('acme/shop/blocks/postgres/files/new2', ''),
        ),
    ];
    for (const change of changes) {
      await change();
      seen.add(await digest());
    }
    expect(seen.size).toBe(changes.length + 1);
  });

  test('does not change with times, other modes, empty folders, .git or the rest of the workspace', async () => {
    const before = await digest();
    await utimes(shop('blocks/postgres/playbooks/restart.yml'), 1, 1);
    await chmod(shop('blocks/postgres/playbooks/restart.yml'), 0o600);
    await mkdir(shop('blocks/postgres/empty'));
    await folder.write('acme/shop/blocks/postgres/.git/HEAD', 'x');
    await folder.write('acme/shop/notes.txt', 'x');
    expect(await digest()).toBe(before);
    expect(await digest('notes')).not.toBe(before);
  });

  test('a folder that is gone meanwhile, or lies elsewhere now, is an error', async () => {
    const store = folder.store();
    const found = findWorkspace(await store.list(), 'shop');
    const block = findBlock(found, 'db-orders');
    await rm(shop('blocks/postgres'), { recursive: true });
    await expect(store.inspect(found, block)).rejects.toMatchObject({ code: 'broken_definition' });
    await symlink('/etc', shop('blocks/postgres'));
    await expect(store.inspect(found, block)).rejects.toMatchObject({ code: 'refused' });
  });
});
