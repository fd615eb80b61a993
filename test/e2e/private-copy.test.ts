import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { describeWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { openGatedRegistry } from '../support/gated-registry.ts';
import { connect, type Connection, type Question } from '../support/mcp.ts';
import { createHomes, kill9, NOTHING, settledTraces, until } from '../support/traces.ts';
import { writeWorkspace } from '../support/workspaces.ts';
import { tempFolder } from '../support/mcp.ts';

// What a human approved, or a caller named by its digest, is what is executed, whatever becomes of the files.

const homes = createHomes();
const roots: Awaited<ReturnType<typeof tempFolder>>[] = [];
afterAll(() => Promise.all([homes.removeAll(), ...roots.map(({ remove }) => remove())]));

/** Waits for a file in the real workspace, so that a test decides when the rest is read. */
const SCRIPT = [
  'cat said.txt',
  'cat "$ANSIBLE_INVENTORY"',
  'echo state > "$POLYCRATE_WORKSPACE/artifacts/state"',
  'echo into > "../../artifacts/relative"',
  'touch here 2>/dev/null && echo "wrote here" || echo "cannot write here"',
  'touch "$POLYCRATE_WORKSPACE/started"',
  'while [ ! -e "$POLYCRATE_WORKSPACE/go" ]; do sleep 0.05; done',
  'cat said.txt',
  'cat "$ANSIBLE_INVENTORY"',
];
const AGREED = 'agreed';
const INVENTORY = 'all: {hosts: {web-1: {}}}';
const TARGET = { workspace: 'shop', block: 'db', action: 'say' };

async function workspaceOf(image = TEST_IMAGE): Promise<{ root: string; path: string }> {
  const root = await tempFolder('pinned');
  roots.push(root);
  const colon = image.lastIndexOf(':');
  const path = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: { config: { image: { reference: image.slice(0, colon), version: image.slice(colon + 1) } } },
    blocks: { db: { version: '1.0.0', actions: [{ name: 'say', script: SCRIPT }] } },
    files: { 'blocks/db/said.txt': `${AGREED}\n`, 'inventory.yml': `${INVENTORY}\n`, 'artifacts/.keep': '' },
  });
  return { root: path.split('/acme/')[0]!, path };
}

async function change(path: string): Promise<void> {
  await writeFile(join(path, 'blocks/db/said.txt'), 'changed\n');
  await writeFile(join(path, 'blocks/db/block.poly'), '{"name":"db","actions":[{"name":"say","script":["echo changed"]}]}');
  await writeFile(join(path, 'inventory.yml'), 'all: {hosts: {evil: {}}}\n');
} // prettier-ignore

function env(root: string, executor: string, mode: string): Record<string, string> {
  return {
    POLYCRATE_MCP_WORKSPACES: root,
    POLYCRATE_MCP_RUN_MODE: mode,
    POLYCRATE_MCP_EXECUTOR: executor,
    POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*,127.0.0.1:*',
    POLYCRATE_MCP_LOG_LEVEL: 'error',
  };
}

const logOf = async (server: Connection, run_id: string): Promise<string[]> => {
  const { data } = await server.call('read_action_run_log', { run_id, mode: 'head' });
  return data.lines.map(({ text }: { text: string }) => text);
};
const logged = async (server: Connection, run_id: string, text: string): Promise<boolean> =>
  (await logOf(server, run_id)).includes(text);

describeWithEngine('what was agreed to', () => {
  it('is executed although files changed after the approval and before the launch', async () => {
    const [home, registry] = await Promise.all([homes.make('agreed'), openGatedRegistry()]);
    const { root, path } = await workspaceOf(registry.image);
    const questions: Question[] = [];
    const onAsk = (question: Question) => {
      questions.push(question);
      return { action: 'accept' as const, content: { approve: true } };
    };
    const server = await connect({ home, env: env(root, 'docker', 'ask'), onAsk });
    const { data } = await server.call('run_action', { ...TARGET, wait_seconds: 0 });
    // The image is asked for, so nothing has been launched.
    await registry.asked;
    await change(path);
    await writeFile(join(path, 'go'), '');
    registry.open();
    const ended = await server.call('wait_for_action_run', { run_id: data.run.id, wait_seconds: 50 });
    expect(ended.data).toMatchObject({ succeeded: true });
    const lines = await logOf(server, data.run.id);
    expect(lines).toEqual([AGREED, INVENTORY, 'wrote here', AGREED, INVENTORY]);
    // Changed files stay as they were changed, and what the action wrote is with them.
    expect((await readdir(join(path, 'blocks', 'db'))).sort()).toEqual(['block.poly', 'here', 'said.txt']);
    expect(await readFile(join(path, 'blocks/db/said.txt'), 'utf8')).toBe('changed\n');
    expect((await readdir(join(path, 'artifacts'))).sort()).toEqual(['.keep', 'relative', 'state']);
    expect(questions).toHaveLength(1);
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
    await server.close();
    await registry.close();
  });

  describe.each(['docker', 'local'])('on %s', (executor) => {
    it('by its digest is executed to its end, and without one the files as they are', async () => {
      const home = await homes.make('agreed');
      const { root, path } = await workspaceOf();
      const server = await connect({ home, env: env(root, executor, 'trusted') });
      const { data: planned } = await server.call('plan_action', TARGET);
      const { data } = await server.call('run_action', { ...TARGET, plan_digest: planned.plan.digest, wait_seconds: 0 });
      await until('a start', async () => (await readdir(path)).includes('started'));
      await change(path);
      await writeFile(join(path, 'go'), '');
      const run_id = data.run.id;
      expect((await server.call('wait_for_action_run', { run_id, wait_seconds: 50 })).data.succeeded).toBe(true);
      const lines = await logOf(server, run_id);
      expect(lines.filter((line) => !line.includes('here'))).toEqual([AGREED, INVENTORY, AGREED, INVENTORY]);
      expect((await readdir(join(path, 'artifacts'))).sort()).toEqual(['.keep', 'relative', 'state']);
      expect((await readdir(join(path, 'blocks', 'db'))).sort()).toEqual(['block.poly', 'here', 'said.txt']);
      const refused = await server.call('run_action', { ...TARGET, plan_digest: planned.plan.digest });
      expect(refused.error).toMatchObject({ code: 'plan_changed' });
      const changed = await server.call('run_action', { ...TARGET, wait_seconds: 50 });
      expect(changed.data.log_tail).toEqual(['changed']);
      expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
      await server.close();
    });
  }); // prettier-ignore

  it('is executed to its end and cleaned up after a crash', async () => {
    const home = await homes.make('agreed');
    const { root, path } = await workspaceOf();
    const first = await connect({ home, env: env(root, 'docker', 'trusted') });
    const { data: planned } = await first.call('plan_action', TARGET);
    const asked = { ...TARGET, plan_digest: planned.plan.digest, wait_seconds: 0 };
    const run_id: string = (await first.call('run_action', asked)).data.run.id;
    await until('a start', async () => (await readdir(path)).includes('started'));
    await kill9(first);
    await change(path);
    const second = await connect({ home, env: env(root, 'docker', 'trusted') });
    await until('output', () => logged(second, run_id, 'wrote here'));
    expect(await readdir(join(home, 'run', run_id))).toContain('copy');
    await writeFile(join(path, 'go'), '');
    expect((await second.call('wait_for_action_run', { run_id, wait_seconds: 50 })).data.succeeded).toBe(
      true,
    );
    expect((await logOf(second, run_id)).slice(-2)).toEqual([AGREED, INVENTORY]);
    // The supervisor that adopted it has brought back what it wrote.
    expect((await readdir(join(path, 'blocks', 'db'))).sort()).toEqual(['block.poly', 'here', 'said.txt']);
    expect(await settledTraces(home, [second.pid])).toEqual(NOTHING);
    await second.close();
  });

  describe.each(['docker', 'local'])('with state in the folder of its block, on %s', (executor) => {
    it('finds at the next run what it wrote, and loses nothing that somebody else wrote meanwhile', async () => {
      const home = await homes.make('state');
      const { root, path } = await stateful();
      const server = await connect({ home, env: env(root, executor, 'ask'), onAsk: agree });
      expect((await server.call('run_action', COUNT)).data).toMatchObject({ succeeded: true, log_tail: ['count 1'] });
      const again = await server.call('run_action', COUNT);
      expect(again.data).toMatchObject({ succeeded: true, log_tail: ['count 2'], run: { status_reason: null } });
      expect(await readFile(join(path, 'blocks/db/state'), 'utf8')).toBe('xx');
      const { data } = await server.call('run_action', { ...COUNT, action: 'wait', wait_seconds: 0 });
      await until('a start', async () => (await readdir(path)).includes('started'));
      await writeFile(join(path, 'blocks/db/state'), 'of a human');
      await writeFile(join(path, 'go'), '');
      const run_id: string = data.run.id;
      const ended = await server.call('wait_for_action_run', { run_id, wait_seconds: 50 });
      expect(ended.data.run).toMatchObject({
        status: 'failed',
        exit_code: 3,
        status_reason: expect.stringContaining(`blocks/db/state.polycrate-${run_id}`),
      });
      expect(await readFile(join(path, 'blocks/db/state'), 'utf8')).toBe('of a human');
      expect(await readFile(join(path, `blocks/db/state.polycrate-${run_id}`), 'utf8')).toBe('xxx');
      expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
      await server.close();
    });
  }); // prettier-ignore

  it('cannot write into its block where the operator says read-only, and is told why', async () => {
    const home = await homes.make('strict');
    const { root, path } = await stateful();
    const options = { ...env(root, 'docker', 'ask'), POLYCRATE_MCP_PRIVATE_COPY: 'read-only' };
    const server = await connect({ home, env: options, onAsk: agree });
    const { data: planned } = await server.call('plan_action', {
      workspace: 'shop',
      block: 'db',
      action: 'count',
    });
    expect(planned.plan.warnings.join('\n')).toMatch(/POLYCRATE_MCP_PRIVATE_COPY is read-only/);
    const { data } = await server.call('run_action', COUNT);
    expect(data).toMatchObject({ succeeded: false });
    expect(data.log_tail.join('\n')).toContain('Read-only file system');
    expect(await readdir(join(path, 'blocks/db'))).not.toContain('state');
    await server.close();
  });

  it('runs the files of the workspace without a copy, and only if they are still those', async () => {
    const [home, registry] = await Promise.all([homes.make('off'), openGatedRegistry()]);
    const { root, path } = await stateful(registry.image);
    const options = { ...env(root, 'docker', 'ask'), POLYCRATE_MCP_PRIVATE_COPY: 'off' };
    const server = await connect({ home, env: options, onAsk: agree });
    const { data } = await server.call('run_action', { ...COUNT, wait_seconds: 0 });
    await registry.asked;
    await writeFile(join(path, 'blocks/db/count.sh'), 'echo evil');
    registry.open();
    const refused = await server.call('wait_for_action_run', { run_id: data.run.id, wait_seconds: 50 });
    expect(refused.data.run).toMatchObject({
      status: 'failed',
      started_at: null,
      status_reason: expect.stringContaining('files of the block are not what was agreed to'),
    });
    const ran = await server.call('run_action', COUNT);
    expect(ran.data).toMatchObject({ succeeded: true, log_tail: ['evil'] });
    await server.close();
    await registry.close();
  });
});

const COUNT = { workspace: 'shop', block: 'db', action: 'count', wait_seconds: 50 };
const agree = () => ({ action: 'accept' as const, content: { approve: true } });

/** A block that keeps a state beside its code, as real ones do. */
async function stateful(image?: string): Promise<{ root: string; path: string }> {
  const made = await workspaceOf(image);
  const { path } = made;
  await writeFile(join(path, 'blocks/db/count.sh'), 'printf x >> state; echo "count $(wc -c < state)"');
  const wait = ['touch "$POLYCRATE_WORKSPACE/started"', 'while [ ! -e "$POLYCRATE_WORKSPACE/go" ]; do sleep 0.05; done'];
  const actions = [
    { name: 'count', script: ['bash -e ./count.sh'] },
    { name: 'wait', script: [...wait, 'printf x >> state', 'exit 3'] },
  ];
  await writeFile(join(path, 'blocks/db/block.poly'), JSON.stringify({ name: 'db', version: '1.0.0', actions }));
  return made;
} // prettier-ignore
