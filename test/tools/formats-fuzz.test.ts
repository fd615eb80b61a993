import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../src/shared/errors.ts';
import { storeOf } from '../contract/workspace-store-folders.ts';
import { connect, type Connection, tempFolder } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Definitions that are well-formed YAML and nonsense otherwise. YAML readers take JSON, so that any value can be written.

const KEYS_OF_BLOCK = 'name description kind type flavor labels alias actions changelog config from template version workdir inventory kubeconfig artifacts checksum schema display_name license app_version'.split(' '); // prettier-ignore
const KEYS_OF_WORKSPACE = 'name organization description version identifier labels alias events dependencies config blocks workflows extraenv extramounts inventory kubeconfig registry sync meta api'.split(' '); // prettier-ignore
const INNER = 'name filename from path script playbook prompt message image reference version blocksroot artifactsroot containerroot sshprivatekey dockerfile globals steps block action hosts password __proto__ constructor toString <<'.split(' '); // prettier-ignore
const WORDS = ['fine', 'fine:1.0', '../..', '/etc/passwd', 'a/../../b', '~/x', 'C:\\x', '.', '..', '', ' ', '\0', '*', '&a', '{{ x }}', '$(id)', '`id`', 'a=b=c', 'a:b:ro', 'x'.repeat(300), '\u202eabc', 'on', '1.10', '-rf', 'production', '😀']; // prettier-ignore

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(...WORDS),
    fc.constantFrom(null, true, false, 0, -1, 1e21, 1.5),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...INNER, ...WORDS), tie('any'), { maxKeys: 5 }),
  ),
})).any;
const map = (keys: readonly string[]) =>
  fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 12 }) as fc.Arbitrary<Record<string, unknown>>;
const action = fc.record({ name: fc.constantFrom('go', 'run', '', '..'), playbook: value, script: value, prompt: value, interactive: value, config: value }, { requiredKeys: [] }); // prettier-ignore
const block = fc
  .tuple(map(KEYS_OF_BLOCK), fc.array(action, { maxLength: 3 }))
  .map(([keys, actions]) => ({ ...(actions.length > 0 && { actions }), name: 'strange', ...keys }));
const workspace = fc
  .tuple(map(KEYS_OF_WORKSPACE), fc.array(block, { maxLength: 3 }))
  .map(([keys, blocks]) => ({ ...(blocks.length > 0 && { blocks }), ...keys }));

async function put(file: string, content: unknown): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
}

const FINE = { name: 'fine', version: '1.0', actions: [script('hello', 'true')] };

describe('any values under the known keys', () => {
  it('never bring down the store: what is refused says why, and hides nothing else', async () => {
    const root = await tempFolder('fuzz');
    const path = join(root.path, 'w');
    await put(join(path, 'blocks/fine/block.poly'), FINE);
    const store = storeOf([{ path: root.path, named: true }]);
    const told = (work: Promise<unknown>): Promise<unknown> =>
      work.catch((error: unknown) => expect(error).toBeInstanceOf(AppError));
    await fc.assert(
      fc.asyncProperty(workspace, block, async (one, other) => {
        await put(join(path, 'workspace.poly'), one);
        await put(join(path, 'blocks/strange/block.poly'), other);
        await put(join(path, 'secrets.poly'), { ...other, ...one });
        const [found] = await store.list();
        const moved = found!.config.blocksroot !== 'blocks';
        expect(moved || found!.blocks.some(({ name }) => name === 'fine')).toBe(true);
        const unlocked = await store.unlock(found!);
        await store.secretFiles(unlocked);
        for (const one of unlocked.blocks) {
          await told(store.inspect(unlocked, one));
          await store.documents(unlocked, one);
          for (const each of one.actions) await told(store.plays(unlocked, one, each));
        }
      }),
      { numRuns: 300, interruptAfterTimeLimit: 30_000 },
    );
    await root.remove();
  }, 120_000);

  it('never bring down the server, nor stop it from running what is sound', async () => {
    const [root, home] = await Promise.all([tempFolder('fuzz'), tempFolder('home')]);
    const samples = fc.sample(fc.tuple(workspace, block), { numRuns: 60, seed: 4 });
    for (const [n, [one, other]] of samples.entries()) {
      const path = join(root.path, `w${n}`);
      await put(join(path, 'workspace.poly'), {
        name: `works-${n}`,
        ...one,
        ...(n % 2 && { name: `works-${n}` }),
      });
      await put(join(path, 'blocks/strange/block.poly'), other);
      await put(join(path, 'blocks/fine/block.poly'), FINE);
    }
    await writeWorkspace(root.path, { name: 'sound', organization: 'acme', blocks: { fine: FINE } });
    const server = await connect({ home: home.path, env: localSettings(root.path) });
    const { data } = await server.call('list_workspaces', { limit: 100 });
    expect(data.total).toBe(samples.length + 1);
    const answered = async (name: string, args: Record<string, unknown>): Promise<void> => {
      const { isError, error } = await server.call(name, args);
      if (isError) expect(error).toMatchObject({ code: expect.not.stringMatching(/internal/) });
    };
    for (const { name, organization } of data.workspaces) {
      const target = { workspace: `${organization ?? '-'}/${name}`, block: 'strange' };
      await answered('list_blocks', { workspace: target.workspace });
      await answered('get_block', target);
      await answered('plan_action', { ...target, action: 'go' });
    }
    const ran = await server.call('run_action', { workspace: 'sound', block: 'fine', action: 'hello', wait_seconds: 30 }); // prettier-ignore
    expect(ran.data).toMatchObject({ succeeded: true });
    await server.close();
    await Promise.all([root.remove(), home.remove()]);
  }, 180_000);
});

const OUTSIDE = 'Outside-the-Workspace-5533';

/** `spoil`: a link or file that the definitions alone cannot express. */
interface Trick {
  workspace?: Record<string, unknown>;
  block?: Record<string, unknown>;
  spoil?: (path: string) => Promise<void>;
  /** Refused with these words, denied by this rule, or without any effect. */
  ends: RegExp | `rule ${string}` | 'without effect';
}

const link =
  (name: string, target = '../outside') =>
  async (path: string) => {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await symlink(join(path, target), join(path, name));
  };
const go = [script('go', 'true')];
const playbook = (file: string) => [{ name: 'go', playbook: file }];

const TRICKS: Record<string, Trick> = {
  'workdir of a block': { block: { workdir: { path: '../../..', localpath: '/', containerpath: '/etc' }, actions: go }, ends: 'without effect' },
  'path of the workspace': { workspace: { path: '/', localpath: '/etc', containerpath: '/' }, ends: 'without effect' },
  'computed paths of the inventory': { workspace: { inventory: { path: '/etc/passwd', localpath: '/etc/passwd' } }, ends: 'without effect' },
  'inventory upwards': { block: { inventory: { filename: '../../../outside/inventory.yml' }, actions: go }, ends: /not a path inside/ },
  'inventory, absolute': { workspace: { inventory: { filename: '/etc/hosts' } }, ends: /not a path inside/ },
  'inventory, a link': { spoil: link('inventory.yml', '../outside/inventory.yml'), ends: /leads out of the workspace/ },
  'inventory, a folder': { spoil: (path) => mkdir(join(path, 'inventory.yml')).then(() => undefined), ends: /not a regular file/ },
  'inventory.from of nobody': { block: { inventory: { from: '../../x' }, actions: go }, ends: /has a "\.\." segment/ },
  'kubeconfig upwards': { workspace: { kubeconfig: { filename: '../outside/kubeconfig.yml' } }, ends: /not a path inside/ },
  'kubeconfig, a link': { spoil: link('artifacts/secrets/kubeconfig.yml', '../outside/kubeconfig.yml'), ends: /leads out of the workspace/ },
  'key upwards': { workspace: { config: { sshprivatekey: '../outside/key' } }, ends: 'rule definition:broken' },
  'key, a link': { spoil: link('id_rsa', '../outside/key'), ends: /leads out of the workspace/ },
  'secrets, a linked folder': { spoil: link('artifacts/secrets'), ends: /leads out of the workspace/ },
  'secret, a link': { spoil: link('artifacts/secrets/key', '../outside/key'), ends: 'without effect' },
  'secrets.poly, a link': { spoil: link('secrets.poly', '../outside/secrets.poly'), ends: /leads out of the workspace/ },
  'playbook upwards': { block: { actions: playbook('../../../outside/play.yml') }, ends: 'rule definition:broken' },
  'playbook, absolute': { block: { actions: playbook('/etc/passwd') }, ends: 'rule definition:broken' },
  'playbook, an option': { block: { actions: playbook('--version') }, ends: 'rule definition:broken' },
  'playbook, a link': { block: { actions: playbook('linked.yml') }, spoil: link('blocks/odd/linked.yml', '../outside/play.yml'), ends: /leads out of the workspace/ },
  'Dockerfile upwards': { workspace: { config: { dockerfile: '../outside/Dockerfile' } }, ends: 'rule definition:broken' },
  'Dockerfile, a link': { spoil: link('Dockerfile.poly', '../outside/Dockerfile'), ends: /leads out of the workspace/ },
  'blocks root upwards': { workspace: { config: { blocksroot: '../outside' } }, ends: 'rule definition:broken' },
  'artifacts root, absolute': { workspace: { config: { artifactsroot: '/etc' } }, ends: 'rule definition:broken' },
  'container root upwards': { workspace: { config: { containerroot: '/a/../..' } }, ends: 'rule definition:broken' },
  'from as a path': { block: { from: '../../outside/blocks/x', actions: go }, ends: 'rule definition:broken' },
  'a name as a path': { workspace: { blocks: [{ name: '../../outside', actions: go }] }, ends: 'without effect' },
  'block.poly, a link': { spoil: link('blocks/linked/block.poly', '../outside/block.poly'), ends: 'without effect' },
  'a linked folder of a block': { spoil: link('blocks/linked'), ends: 'without effect' },
  'schema.json, a link': { spoil: link('blocks/odd/schema.json', '../outside/key'), ends: /leads out of the workspace/ },
  'README, a link': { spoil: link('blocks/odd/README.md', '../outside/key'), ends: 'without effect' },
}; // prettier-ignore

describe('path tricks, through a client', () => {
  let root: Awaited<ReturnType<typeof tempFolder>>;
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let server: Connection;

  beforeAll(async () => {
    [root, home] = await Promise.all([tempFolder('tricks'), tempFolder('home')]);
    const outside = join(root.path, 'tests/outside');
    await put(join(outside, 'inventory.yml'), { all: { hosts: { [OUTSIDE.toLowerCase()]: {} } } });
    await put(join(outside, 'play.yml'), `- hosts: ${OUTSIDE}\n`);
    await put(join(outside, 'block.poly'), { name: `x${OUTSIDE}` });
    await put(join(outside, 'secrets.poly'), { blocks: [{ name: 'odd', config: { note: OUTSIDE } }] });
    for (const name of ['key', 'kubeconfig.yml', 'Dockerfile']) await put(join(outside, name), OUTSIDE);
    for (const [n, { workspace: rest = {}, block: odd, spoil }] of Object.values(TRICKS).entries()) {
      const path = await writeWorkspace(root.path, { name: `trick-${n}`, organization: 'tests', rest, blocks: { odd: odd ?? { actions: go } } }); // prettier-ignore
      await spoil?.(path);
    }
    server = await connect({ home: home.path, env: localSettings(root.path) });
  });
  afterAll(async () => {
    await server.close();
    await Promise.all([root.remove(), home.remove()]);
  });

  it.each(Object.entries(TRICKS).map(([name, { ends }], n) => [name, n, ends] as const))('%s', async (_name, n, ends) => {
    const workspace = `trick-${n}`;
    const target = { workspace, block: 'odd' };
    const planned = await server.call('plan_action', { ...target, action: 'go' });
    const answers = [planned, await server.call('get_block', target), await server.call('list_blocks', { workspace }), await server.call('list_workspaces', { query: workspace })];
    expect(JSON.stringify(answers).toLowerCase()).not.toContain(OUTSIDE.toLowerCase());
    if (ends instanceof RegExp) expect(planned.error?.message).toMatch(ends);
    else if (ends === 'without effect') expect(JSON.stringify(planned.data.plan)).not.toMatch(/outside|\/etc\//);
    else expect(planned.data.plan.policy).toMatchObject({ decision: 'deny', rule: ends.slice(5) });
    if (ends !== 'without effect') expect((await server.call('run_action', { ...target, action: 'go' })).isError).toBe(true);
  }); // prettier-ignore
});
