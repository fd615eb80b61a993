import { writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { commitAll, committed, git, poison } from '../support/git.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Which commit was run: the repository as records, plans and lists tell it.

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let path: string;
let server: Connection;
let commit: string;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  path = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    blocks: { db: { version: '1.0.0', actions: [script('hello', 'echo hello')] } },
  });
  commit = committed(path);
  server = await connect({ home: home.path, env: localSettings(root.path) });
});
afterAll(async () => {
  await server.close();
  await Promise.all([home.remove(), root.remove()]);
});

const HELLO = { workspace: 'shop', block: 'db', action: 'hello' };
async function ranAt(): Promise<Record<string, unknown>> {
  const { data } = await server.call('run_action', { ...HELLO, wait_seconds: 50 });
  const { run } = (await server.call('get_action_run', { run_id: data.run.id })).data;
  return { commit: run.workspace_commit, dirty: run.workspace_dirty };
}

it('plan, record and list name it, and a change shows at the next call', async () => {
  const plan = async () => (await server.call('plan_action', HELLO)).data.plan;
  const first = await plan();
  expect(first.git).toEqual({ commit, branch: 'main', dirty: false });
  expect(await ranAt()).toEqual({ commit, dirty: false });
  const [row] = (await server.call('list_workspaces')).data.workspaces;
  expect(row.git).toEqual({ commit, branch: 'main' });

  await writeFile(join(path, 'notes.md'), 'a note');
  expect((await plan()).git.dirty).toBe(true);
  expect(await ranAt()).toEqual({ commit, dirty: true });

  const second = commitAll(path);
  git(path, 'checkout', '--quiet', '-b', 'release');
  const last = await plan();
  expect(last.git).toEqual({ commit: second, branch: 'release', dirty: false });
  expect(last.digest, 'a commit alone changes no plan').toBe(first.digest);
});

it('executes nothing that the configuration of the repository names', async () => {
  const marks = join(root.path, 'marks');
  poison(path, marks);
  await writeFile(join(path, 'notes.md'), 'another note');
  expect((await server.call('plan_action', HELLO)).data.plan.git).toMatchObject({ dirty: true });
  expect(await ranAt()).toMatchObject({ dirty: true });
  expect((await server.call('list_workspaces')).data.workspaces[0].git).toMatchObject({ branch: 'release' });
  expect(existsSync(marks)).toBe(false);
});
