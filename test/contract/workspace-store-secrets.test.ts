import { armor, Encrypter, generateIdentity, identityToRecipient } from 'age-encryption';
import { rm, symlink } from 'node:fs/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorkspaceFiles } from '../../src/adapters/workspace-files/index.ts';
import { findBlock, findWorkspace } from '../../src/workspaces/find.ts';
import type { BlockFiles, WorkspaceStore } from '../../src/workspaces/workspace-store.ts';
import { workspaceBlockerOf, type Workspace } from '../../src/workspaces/workspace.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';

const PASSPHRASE = 'copper-lantern-under-seven-bridges';
let identity: string;
let recipient: string;
beforeAll(async () => {
  identity = await generateIdentity();
  recipient = await identityToRecipient(identity);
});

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: false });
  await folder.write(
    'shop/workspace.poly',
    'name: shop\norganization: acme\nextraenv: [MODE=live]\nblocks:\n  - name: app\n    from: base\n    config: { size: 3, db: { host: db1 } }\n',
  );
  await folder.write(
    'shop/blocks/base/block.poly',
    'name: base\nkind: k8sapp\nconfig: { db: { password: unset, port: 5432 } }\nactions:\n  - name: go\n    script: [true]\n',
  );
});
afterEach(() => folder.remove());

const SECRETS =
  'blocks:\n  - name: base\n    kind: other\n    template: true\n    config: { db: { password: Orchid-Lantern-77 } }\n  - name: app\n    config: { api: { url_path: plain-but-secret-9 } }\nextraenv: [DEPLOY=Harbour-Mist-31]\n';

async function sealed(
  text: string | Uint8Array,
  how: 'identity' | 'passphrase' | 'armor',
): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  if (how === 'passphrase') {
    encrypter.setPassphrase(PASSPHRASE);
    encrypter.setScryptWorkFactor(10);
  } else encrypter.addRecipient(recipient);
  const bytes = await encrypter.encrypt(text);
  return how === 'armor' ? new TextEncoder().encode(armor.encode(bytes)) : bytes;
}

interface Seen {
  store: WorkspaceStore;
  plain: Workspace;
  unlocked: Workspace;
  files: BlockFiles;
  redactions: readonly string[];
}

async function unlock(encryptionKey: string | null = null): Promise<Seen> {
  const roots = [{ path: folder.root, named: true }];
  const store = createWorkspaceFiles({ roots, environmentsFile: null, encryptionKey, log: () => undefined });
  const plain = findWorkspace(await store.list(), 'shop');
  const unlocked = await store.unlock(plain);
  return {
    store,
    plain,
    unlocked,
    files: await store.inspect(unlocked, findBlock(unlocked, 'app')),
    redactions: await store.secretFiles(unlocked),
  };
}

describe('secrets.poly', () => {
  test('goes over workspace.poly and block.poly for executions only, and is inherited', async () => {
    await folder.write('shop/secrets.poly', SECRETS);
    const { plain, unlocked } = await unlock();
    expect(findBlock(plain, 'app').config).toEqual({
      size: 3,
      db: { host: 'db1', password: 'unset', port: 5432 },
    });
    expect(JSON.stringify(plain)).not.toMatch(/Orchid|Harbour|plain-but-secret/);
    expect(findBlock(unlocked, 'app')).toMatchObject({
      config: {
        size: 3,
        db: { host: 'db1', password: 'Orchid-Lantern-77', port: 5432 },
        api: { url_path: 'plain-but-secret-9' },
      },
      declared_in: 'workspace.poly',
      origin: { 'config.db.password': 'secrets.poly (from base)' },
    });
    expect(unlocked.extraenv).toEqual({ MODE: 'live', DEPLOY: 'Harbour-Mist-31' });
  });

  test('changes no block in anything but its values', async () => {
    await folder.write('shop/secrets.poly', SECRETS);
    const { plain, unlocked } = await unlock();
    const { config: _a, origin: _b, ...before } = findBlock(plain, 'base');
    const { config: _c, origin: _d, ...after } = findBlock(unlocked, 'base');
    expect(after).toEqual(before);
  });

  test('every value is registered for redaction, whatever its key', async () => {
    await folder.write('shop/secrets.poly', SECRETS);
    const { redactions } = await unlock();
    expect(redactions).toEqual(
      expect.arrayContaining(['Orchid-Lantern-77', 'plain-but-secret-9', 'Harbour-Mist-31']),
    );
  });

  test('names of blocks that are not there are told, and make none', async () => {
    await folder.write('shop/secrets.poly', 'blocks:\n  - name: appp\n    config: { token: x }\n');
    const { unlocked } = await unlock();
    expect(unlocked.blocks.map(({ name }) => name)).toEqual(['app', 'base']);
    expect(unlocked.problems).toMatchObject([
      {
        severity: 'warning',
        file: 'secrets.poly',
        line: 2,
        message: expect.stringContaining('appp') as unknown,
      },
    ]);
    expect(workspaceBlockerOf(unlocked)).toBeNull();
  });

  test.each([
    ['broken', 'blocks: [Orchid-Lantern-77\n'],
    ['no list', 'blocks: Orchid-Lantern-77\n'],
  ])('%s: nothing runs, and the message holds no value', async (_case, content) => {
    await folder.write('shop/secrets.poly', content);
    const { unlocked } = await unlock();
    expect(workspaceBlockerOf(unlocked)).toMatch(/^secrets\.poly:\d+: /);
    expect(JSON.stringify(unlocked.problems)).not.toContain('Orchid');
  });

  test('a link is not followed', async () => {
    await folder.write('outside.poly', SECRETS);
    await symlink(folder.path('outside.poly'), folder.path('shop/secrets.poly'));
    await expect(unlock()).rejects.toMatchObject({ code: 'refused' });
    await rm(folder.path('shop/secrets.poly'));
    await symlink('workspace.poly', folder.path('shop/secrets.poly'));
    expect(workspaceBlockerOf((await unlock()).unlocked)).toMatch(/secrets\.poly: is a link/);
  });
});

describe('encrypted files', () => {
  const KEY = Uint8Array.from([0, 255, 10, 13, 128]);
  const seal = async (how: Parameters<typeof sealed>[1]): Promise<void> => {
    await folder.write('shop/secrets.poly.age', await sealed(SECRETS, how));
    await folder.write('shop/artifacts/secrets/kubeconfig.yml.age', await sealed('users: [{ user: { token: Velvet-Comet-4410 } }]\n', how)); // prettier-ignore
    await folder.write('shop/artifacts/secrets/id_rsa.age', await sealed('an-ssh-key-body-81\n', how));
    await folder.write('shop/artifacts/secrets/app/store.p12.age', await sealed(KEY, how));
  };

  test.each(['identity', 'armor', 'passphrase'] as const)('are opened in memory (%s)', async (how) => {
    await seal(how);
    const { unlocked, files, redactions } = await unlock(how === 'passphrase' ? PASSPHRASE : identity);
    expect(findBlock(unlocked, 'app').config).toMatchObject({ db: { password: 'Orchid-Lantern-77' } });
    expect(files).toMatchObject({
      encrypted: [],
      wrong_key: false,
      kubeconfig: { relative: 'artifacts/secrets/kubeconfig.yml' },
      ssh_key: { relative: 'artifacts/secrets/id_rsa' },
      secrets: { 'store.p12': 'artifacts/secrets/app/store.p12' },
    });
    expect(files.opened['artifacts/secrets/app/store.p12']).toEqual(KEY);
    expect(redactions).toEqual(
      expect.arrayContaining(['Orchid-Lantern-77', 'Velvet-Comet-4410', 'an-ssh-key-body-81\n']),
    );
  });

  test('stay closed without a key, and with another one', async () => {
    await seal('identity');
    const encrypted = [
      'secrets.poly.age',
      'artifacts/secrets/app/store.p12.age',
      'artifacts/secrets/id_rsa.age',
      'artifacts/secrets/kubeconfig.yml.age',
    ];
    expect((await unlock()).files).toMatchObject({ encrypted, wrong_key: false, opened: {}, ssh_key: null });
    const other = await unlock(await generateIdentity());
    expect(other.files).toMatchObject({ encrypted, wrong_key: true, opened: {} });
    expect(findBlock(other.unlocked, 'app').config).toMatchObject({ db: { password: 'unset' } });
  });

  test('a plain file wins over its encrypted one, which is not opened', async () => {
    await seal('identity');
    await folder.write('shop/artifacts/secrets/id_rsa', 'decrypted by hand\n');
    const { files } = await unlock(identity);
    expect(Object.keys(files.opened)).not.toContain('artifacts/secrets/id_rsa');
    expect(files.ssh_key?.relative).toBe('artifacts/secrets/id_rsa');
  });

  test('views never open anything', async () => {
    await seal('identity');
    const { store, plain } = await unlock(identity);
    const files = await store.inspect(plain, findBlock(plain, 'app'));
    expect(files).toMatchObject({ opened: {}, kubeconfig: null });
    expect(files.encrypted).toHaveLength(4);
  });
});

describe('what output must not show', () => {
  test('passwords of inventories and their variables, of clusters, and of structured files', async () => {
    await folder.write('shop/inventory.yml', 'all: { hosts: { h1: { ansible_host: h1.example, ansible_password: Juniper-Falls-9 } } }\n'); // prettier-ignore
    await folder.write('shop/artifacts/blocks/app/inventory.ini', '[web]\nw1 ansible_become_pass="Amber Delta 55" x=1\n'); // prettier-ignore
    await folder.write('shop/group_vars/all.yml', 'vault_token: Signal-Marble-12\nregion: europe-west\n');
    await folder.write('shop/artifacts/blocks/app/kubeconfig.yml', 'clusters: [{ cluster: { server: "https://k8s.example:6443" } }]\nusers: [{ user: { client-key-data: TGFudGVybi1rZXktZGF0YQ== } }]\n'); // prettier-ignore
    await folder.write('shop/artifacts/secrets/app.json', '{"pin": "Ridge-Falcon-08", "id": 8812}');
    const { redactions } = await unlock();
    expect(redactions).toEqual(
      expect.arrayContaining([
        'Juniper-Falls-9',
        'Amber Delta 55',
        'Signal-Marble-12',
        'TGFudGVybi1rZXktZGF0YQ==',
        'Ridge-Falcon-08',
        '{"pin": "Ridge-Falcon-08", "id": 8812}',
      ]),
    );
    expect(redactions).not.toContain('h1.example');
    expect(redactions).not.toContain('europe-west');
    expect(redactions).not.toContain('https://k8s.example:6443');
  });
});
