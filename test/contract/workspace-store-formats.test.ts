import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findBlock, findWorkspace } from '../../src/workspaces/find.ts';
import type { Workspace } from '../../src/workspaces/workspace.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';

const matching = (expected: RegExp): unknown => expect.stringMatching(expected);

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: false });
});
afterEach(() => folder.remove());

const only = async (): Promise<Workspace> => findWorkspace(await folder.store().list(), 'acme/plant');

const WORKSPACE = `
name: plant
organization: acme
version: 1.5
identifier: plant-7
alias: [factory]
labels: { Team: ops }
meta: { owner: { name: Ops }, webhook_token: hook-5up3rs3cret }
dependencies: [cargo.example.com/acme/db:2.0.0]
extraenv: [REGION=eu, QUERY=a=b]
extramounts: ["/srv/data:/data:ro", "/srv/out:/out"]
config:
  image: { reference: registry.example:5000/tools, version: 3 }
  blocksRoot: parts
  artifactsroot: results
  logsroot: logs
  containerroot: /plant
  remoteroot: /opt/remote
  sshprivatekey: keys/id_ed25519
  dockerfile: Toolchain
  globals: { siteName: north, replicas: 0 }
  logging: { enabled: yes, path: events }
blocks:
  - name: line-1
    from: cargo.example.com/acme/db:2.0.0
    alias: [first]
    config: { tls: { on: false } }
  - name: line-2
    from: cargo.example.com/acme/db
    config: { name: two }
`;
const BLOCK = `
name: cargo.example.com/acme/db
version: 2.0.0
kind: k8sapp
display_name: Database
license: Apache-2.0
supports_ha: true
config: { tls: { on: true, min: 1.2 }, name: one }
actions:
  - name: install
    alias: [setup]
    playbook: install.yml
    config: { become: true }
`;
const AT = 'plant/parts/cargo.example.com/acme/db';

beforeEach(async () => {
  await folder.write('plant/workspace.poly', WORKSPACE);
  await folder.write(`${AT}/block.poly`, BLOCK);
});

describe('workspace.poly in full', () => {
  test('every key, in its original case', async () => {
    expect(await only()).toMatchObject({
      version: '1.5',
      identifier: 'plant-7',
      alias: ['factory'],
      labels: { Team: 'ops' },
      meta: { owner: { name: 'Ops' } },
      dependencies: ['cargo.example.com/acme/db:2.0.0'],
      extraenv: { REGION: 'eu', QUERY: 'a=b' },
      extramounts: [
        { host: '/srv/data', container: '/data', readonly: true },
        { host: '/srv/out', container: '/out', readonly: false },
      ],
      config: {
        image: 'registry.example:5000/tools:3',
        blocksroot: 'parts',
        artifactsroot: 'results',
        logsroot: 'logs',
        containerroot: '/plant',
        remoteroot: '/opt/remote',
        sshprivatekey: 'keys/id_ed25519',
        dockerfile: 'Toolchain',
        globals: { siteName: 'north', replicas: 0 },
        logging: { enabled: true, path: 'events' },
      },
      problems: [],
    });
  });

  test('says where the 2025 CLI reads it otherwise, in words that hold no values', async () => {
    const { differences } = await only();
    expect(differences.map(({ message }) => message).sort()).toEqual([
      'config.globals: the 2025 CLI turns these keys into lower case: siteName',
      'extramounts: entry 1 has an option, which the 2025 CLI refuses',
      'extraenv: entry 2 has a second =, which the 2025 CLI refuses',
      'labels: the 2025 CLI turns these keys into lower case: Team',
    ].sort()); // prettier-ignore
  });

  test('workspaces and blocks are found by alias, unless something has that name', async () => {
    const workspaces = await folder.store().list();
    expect(findWorkspace(workspaces, 'factory').name).toBe('plant');
    expect(findBlock(await only(), 'first').name).toBe('line-1');
  });
});

describe('block.poly in full', () => {
  test('newer keys are read, and are a difference but no problem', async () => {
    const block = findBlock(await only(), 'acme/db');
    expect(block).toMatchObject({
      about: { display_name: 'Database', license: 'Apache-2.0', supports_ha: 'true' },
      actions: [{ name: 'install', alias: ['setup'], config: { become: true } }],
      problems: [],
    });
    expect(block.differences.map(({ line, message }) => [line, message])).toContainEqual([
      5,
      matching(/does not know the key display_name/),
    ]);
  });

  test('two instances are kept apart, and each value tells where it was written', async () => {
    const workspace = await only();
    const [one, two] = [findBlock(workspace, 'line-1'), findBlock(workspace, 'line-2')];
    expect(one.config).toEqual({ tls: { on: false, min: 1.2 }, name: 'one' });
    expect(two.config).toEqual({ tls: { on: true, min: 1.2 }, name: 'two' });
    const file = 'parts/cargo.example.com/acme/db/block.poly (from cargo.example.com/acme/db)';
    expect(one.origin).toMatchObject({
      'config.tls.on': 'workspace.poly',
      'config.tls.min': file,
      'config.name': file,
    });
    expect(two.origin).toMatchObject({ 'config.tls': file, 'config.name': 'workspace.poly' });
    expect(one.kind).toBe('k8sappinstance');
    expect(one.differences.map(({ message }) => message)).toContainEqual(
      matching(/^config\.tls\.on is empty and takes effect/),
    );
  });

  test('README and changelog of the nearest folder that has them', async () => {
    const long = `# Database\n\n${'Words about it. '.repeat(60)}\n\n${'More. '.repeat(400)}`;
    await folder.write(`${AT}/README.md`, long);
    await folder.write(
      `${AT}/CHANGELOG.poly`,
      '- version: 2.0.0\n  date: 2026-01-02\n  type: feat\n  message: Larger\n- version: 1.0.0\n- nonsense\n',
    );
    const store = folder.store();
    const workspace = findWorkspace(await store.list(), 'plant');
    const { readme, changelog } = await store.documents(workspace, findBlock(workspace, 'line-2'));
    expect(readme).toMatch(/^# Database\n\nWords.*\n…$/s);
    expect(readme!.length).toBeLessThan(1600);
    expect(changelog).toEqual([
      { version: '2.0.0', date: '2026-01-02', type: 'feat', message: 'Larger' },
      { version: '1.0.0', date: null, type: null, message: null },
    ]);
    const none = await store.documents(workspace, { ...findBlock(workspace, 'line-2'), dirs: [] });
    expect(none).toEqual({ readme: null, changelog: [] });
  });
});

describe('schema.json', () => {
  const checked = async (schema: unknown): Promise<unknown> => {
    await folder.write(`${AT}/schema.json`, typeof schema === 'string' ? schema : JSON.stringify(schema));
    const store = folder.store();
    const workspace = findWorkspace(await store.list(), 'plant');
    return (await store.inspect(workspace, findBlock(workspace, 'line-1'))).schema;
  };
  const file = 'parts/cargo.example.com/acme/db/schema.json';

  test('what fits is fine', async () => {
    const schema = { type: 'object', required: ['name'], properties: { tls: { type: 'object' } } };
    expect(await checked(schema)).toEqual({ file, violations: [], unchecked: null });
  });

  test.each(['http://json-schema.org/draft-07/schema#', 'https://json-schema.org/draft/2020-12/schema'])(
    'what does not fit is named without its value (%s)',
    async ($schema) => {
      const properties = { name: { type: 'integer' }, tls: { properties: { on: { const: true } } } };
      const schema = { $schema, properties, required: ['size'], additionalProperties: false };
      expect(await checked(schema)).toEqual({
        file,
        violations: [
          "config must have required property 'size'",
          'config.name must be integer',
          'config.tls.on must be equal to constant',
        ],
        unchecked: null,
      });
    },
  );

  test.each([
    ['{', 'is not JSON'],
    ['[]', 'is not a JSON Schema'],
    ['{"$ref": "https://elsewhere.example/schema"}', 'is not a JSON Schema that can be used'],
  ])('%s is said to be unusable, and stops nothing', async (schema, unchecked) => {
    expect(await checked(schema)).toEqual({ file, violations: [], unchecked });
  });
});
