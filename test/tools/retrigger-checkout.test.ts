import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { commitAll, committed, git, poison } from '../support/git.ts';
import { connect, type Connection, tempFolder } from '../support/mcp.ts';
import { createHomes, NOTHING, settledTraces } from '../support/traces.ts';
import { writeWorkspace } from '../support/workspaces.ts';

// A run from a clean commit is repeated as it was, whatever the files are by now.

const SCRIPT = [
  'cat said.txt',
  'cat "$ANSIBLE_INVENTORY"',
  'cat "$POLYCRATE_WORKSPACE/artifacts/secrets/token.txt"',
  'echo "$POLYCRATE_BLOCK_WORKDIR"',
];
const TARGET = { workspace: 'shop', block: 'db', action: 'say' };
const colon = TEST_IMAGE.lastIndexOf(':');
const IMAGE = { reference: TEST_IMAGE.slice(0, colon), version: TEST_IMAGE.slice(colon + 1) };

const homes = createHomes();
let root: Awaited<ReturnType<typeof tempFolder>>;
let temporary: Awaited<ReturnType<typeof tempFolder>>;
let home: string;
let path: string;
let server: Connection;
let commit: string;
let first: any;

async function setUp(executor: string): Promise<void> {
  [home, root, temporary] = await Promise.all([
    homes.make('pinned'),
    tempFolder('root'),
    tempFolder('temporary'),
  ]);
  path = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: { config: { image: IMAGE } },
    blocks: { db: { version: '1.0.0', config: { size: 1 }, actions: [{ name: 'say', script: SCRIPT }] } },
    files: {
      'blocks/db/said.txt': 'first\n',
      'inventory.yml': 'all: {hosts: {web-1: {}}}\n',
      '.gitignore': 'artifacts/\nsecrets.poly\n',
      'artifacts/secrets/token.txt': 'token-of-today-1\n',
    },
  });
  commit = committed(path);
  const env = {
    POLYCRATE_MCP_WORKSPACES: root.path,
    POLYCRATE_MCP_RUN_MODE: 'trusted',
    POLYCRATE_MCP_EXECUTOR: executor,
    POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*',
    POLYCRATE_MCP_LOG_LEVEL: 'error',
    // What is lent for a moment lies here.
    TMPDIR: temporary.path,
  };
  server = await connect({ home, env });
  first = (await server.call('run_action', { ...TARGET, wait_seconds: 50 })).data;
  expect(first).toMatchObject({ succeeded: true });
}

async function change(): Promise<void> {
  await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: { config: { image: IMAGE } },
    blocks: { db: { version: '2.0.0', config: { size: 2 }, actions: [{ name: 'say', script: ['echo second'] }] } },
    files: { 'blocks/db/said.txt': 'second\n', 'inventory.yml': 'all: {hosts: {web-2: {}}}\n' },
  });
} // prettier-ignore

const again = (more = {}) =>
  server.call('retrigger_action_run', { run_id: first.run.id, wait_seconds: 50, ...more });

afterEach(async () => {
  await server.close();
  await Promise.all([homes.removeAll(), root.remove(), temporary.remove()]);
});

describeWithEngine.each(['docker', 'local'])('a pinned re-trigger on %s', (executor) => {
  beforeEach(() => setUp(executor));

  it('runs what the commit has, with the secrets of today, and leaves nothing', async () => {
    await change();
    commitAll(path, 'second');
    const marks = join(root.path, 'marks');
    await writeFile(join(path, '.git', 'info', 'attributes'), '* filter=evil\n');
    poison(path, marks);
    const { plan } = (await server.call('plan_action', { retrigger_of: first.run.id })).data;
    expect(plan).toMatchObject({
      block_version: '1.0.0', hosts: ['web-1'], drift: [], policy: { decision: 'allow' },
      git: { commit, dirty: false }, taken_from: { commit },
    }); // prettier-ignore
    const { data } = await again({ plan_digest: plan.digest });
    expect(data).toMatchObject({
      succeeded: true,
      drift: [],
      run: { block_version: '1.0.0', retrigger_of: first.run.id },
    });
    const said = first.log_tail.slice(0, 3);
    expect(said).toEqual(['first', 'all: {hosts: {web-1: {}}}', expect.any(String)]);
    expect(data.log_tail.slice(0, 3)).toEqual(said);
    const { run } = (await server.call('get_action_run', { run_id: data.run.id })).data;
    const old = (await server.call('get_action_run', { run_id: first.run.id })).data.run;
    expect(run).toMatchObject({ workspace_commit: commit, workspace_dirty: false, pins: old.pins });
    expect((await again({ mode: 'current' })).data.log_tail).toEqual(['second']);
    expect(existsSync(marks)).toBe(false);
    expect(await settledTraces(home, [server.pid])).toEqual(NOTHING);
    expect(await readdir(temporary.path)).toEqual([]);
  });
});

describeWithEngine('a pinned re-trigger is refused with the drift', () => {
  beforeEach(() => setUp('docker'));

  it.each<[string, RegExp, () => Promise<unknown>]>([
    ['if the commit is gone', /its commit does not have it/, async () => {
      await rm(join(path, '.git'), { recursive: true });
      await change();
      committed(path);
    }],
    ['if the block has no place any more', /db/, async () => {
      await rm(join(path, 'blocks', 'db'), { recursive: true });
    }],
  ])('%s', async (_, says, what) => {
    await what();
    const { error } = await again();
    expect(['plan_changed', 'unknown_name']).toContain(error!.code);
    expect(error!.message).toMatch(says);
    expect((await server.call('search_action_runs', { include_excluded: true })).data.total).toBe(1);
  }); // prettier-ignore

  it('if it did not run from a clean commit', async () => {
    await writeFile(join(path, 'blocks', 'db', 'said.txt'), 'not committed\n');
    const dirty = (await server.call('run_action', { ...TARGET, wait_seconds: 50 })).data;
    git(path, 'checkout', '--quiet', '.');
    const { error } = await again({ run_id: dirty.run.id });
    expect(error).toMatchObject({
      code: 'plan_changed',
      message: expect.stringMatching(/not run from a clean commit/),
    });
  });
});
