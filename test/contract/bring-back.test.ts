import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createRunFiles } from '../../src/adapters/host/host.ts';
import { digestFile, digestOf } from '../../src/adapters/workspace-files/digest.ts';
import { createPrivateCopies } from '../../src/adapters/workspace-files/private-copy.ts';
import { sayBroughtBack, type BroughtBack } from '../../src/runs/private-copy.ts';
import { tempFolder } from '../support/mcp.ts';

// What an action changes in its private copy is in the workspace afterwards, or somebody is told where it is.

const DB = 'blocks/db';
const folders: Awaited<ReturnType<typeof tempFolder>>[] = [];
const copies = createPrivateCopies();
let workspace: string;
let home: string;
let into: string;

beforeEach(async () => {
  const made = await tempFolder('back');
  folders.push(made);
  workspace = join(made.path, 'workspace');
  home = join(made.path, 'home');
  into = join(home, 'run', 'id', 'copy');
  await put(workspace, `${DB}/block.poly`, 'name: db\n');
  await put(workspace, `${DB}/state/one`, '1');
  await put(workspace, `${DB}/state/two`, '2');
  await put(workspace, 'inventory.yml', 'all: {}\n');
  await symlink('state/one', join(workspace, DB, 'link'));
});
afterAll(() => Promise.all(folders.map(({ remove }) => remove())));

async function put(root: string, name: string, content: string): Promise<void> {
  await mkdir(dirname(join(root, name)), { recursive: true });
  await writeFile(join(root, name), content);
}
const theirs = (name: string) => readFile(join(workspace, name), 'utf8');
const back = (): Promise<BroughtBack> =>
  copies.bringBack({ folder: into, run_id: 'id', kept: join(home, 'kept', 'id') });

async function copied(mirror = false): Promise<void> {
  const inventory = await digestFile(join(workspace, 'inventory.yml'));
  await copies.make(into, {
    workspace,
    from: null,
    dirs: [DB],
    digest: await digestOf(workspace, [DB]),
    files: [{ relative: 'inventory.yml', digest: inventory.digest }],
    mirror,
    how: 'writable',
  });
}

const ALL_WELL = { beside: [], undeleted: [], failed: [] };

it('brings back what was written, changed, linked, made executable and deleted, and nothing else', async () => {
  await copied();
  await put(into, `${DB}/state/one`, 'changed');
  await put(into, `${DB}/new/deep/file`, 'new');
  await mkdir(join(into, DB, 'empty'));
  await symlink('new/deep', join(into, DB, 'another'));
  await chmod(join(into, DB, 'block.poly'), 0o755);
  await rm(join(into, DB, 'state/two'));
  await rm(join(into, DB, 'link'));
  await put(into, 'inventory.yml', 'all: {hosts: {a: }}\n');
  const untouched = await stat(join(workspace, 'blocks'));
  expect(await back()).toEqual({ carried: 10, ...ALL_WELL });
  expect(await digestOf(workspace, [DB])).toBe(await digestOf(into, [DB]));
  expect(await theirs('inventory.yml')).toContain('hosts');
  expect(await readlink(join(workspace, DB, 'another'))).toBe('new/deep');
  expect((await readdir(join(workspace, DB))).sort()).toEqual([
    'another',
    'block.poly',
    'empty',
    'new',
    'state',
  ]);
  expect((await stat(join(workspace, 'blocks'))).mtimeMs).toBe(untouched.mtimeMs);
  expect(existsSync(join(home, 'kept'))).toBe(false);
});

it('puts a file beside one that was changed meanwhile, and loses neither', async () => {
  await copied();
  await put(into, `${DB}/state/one`, 'of the action');
  await put(into, `${DB}/fresh`, 'of the action');
  await rm(join(into, DB, 'state/two'));
  await put(workspace, `${DB}/state/one`, 'of a human');
  await put(workspace, `${DB}/fresh`, 'of a human');
  await put(workspace, `${DB}/state/two`, 'of a human');
  const told = await back();
  expect(told).toEqual({
    carried: 2,
    beside: [`${DB}/fresh.polycrate-id`, `${DB}/state/one.polycrate-id`],
    undeleted: [`${DB}/state/two`],
    failed: [],
  });
  for (const name of ['state/one', 'fresh']) {
    expect(await theirs(`${DB}/${name}`)).toBe('of a human');
    expect(await theirs(`${DB}/${name}.polycrate-id`)).toBe('of the action');
  }
  expect(await theirs(`${DB}/state/two`)).toBe('of a human');
  expect(sayBroughtBack(told, 'id')).toMatch(/fresh\.polycrate-id.*; deleted by the action.*state\/two/);
});

it('says nothing where nothing was changed, or the same by both', async () => {
  await copied();
  await put(into, `${DB}/state/one`, 'same');
  await put(workspace, `${DB}/state/one`, 'same');
  const told = await back();
  expect(told).toEqual({ carried: 0, ...ALL_WELL });
  expect(sayBroughtBack(told, 'id')).toBeNull();
});

it('can be repeated after a crash at any step, and answers the same', async () => {
  await copied();
  await put(into, `${DB}/state/one`, 'of the action');
  await put(into, `${DB}/new`, 'new');
  await rm(join(into, DB, 'state/two'));
  await put(workspace, `${DB}/state/one`, 'of a human');
  await put(workspace, `${DB}/.new.polycrate-id.part`, 'half of');
  const first = await back();
  expect(await back()).toEqual(first);
  // As if it was killed before it could note that it was done.
  await rm(`${into}.brought.json`);
  expect(await back()).toMatchObject({ beside: first.beside, undeleted: [], failed: [] });
  expect((await readdir(join(workspace, DB))).sort()).toEqual(['block.poly', 'link', 'new', 'state']);
  expect((await readdir(join(workspace, DB, 'state'))).sort()).toEqual(['one', 'one.polycrate-id']);
});

describe.each<[string, string, (outside: string) => Promise<unknown>]>([
  ['a link in place of the folder in the workspace', `${DB}/state/one`, async (outside) => {
    await rename(join(workspace, DB), join(outside, 'db'));
    await symlink(join(outside, 'db'), join(workspace, DB));
  }],
  ['a pipe', `${DB}/pipe`, async () => execFileSync('mkfifo', [join(into, DB, 'pipe')])],
  ['a repository', `${DB}/.git/config`, () => put(into, `${DB}/.git/config`, 'x')],
  ['a file in place of its folder', `${DB}/state/one`, async () => {
    await rm(join(workspace, DB, 'state'), { recursive: true });
    await writeFile(join(workspace, DB, 'state'), 'of a human');
  }],
])('with %s', (_, name, happen) => {
  it('keeps the copy, follows nothing, and says so', async () => {
    const outside = await tempFolder('outside');
    folders.push(outside);
    await copied();
    await put(into, `${DB}/state/one`, 'of the action');
    await happen(outside.path);
    const told = await back();
    expect(told.failed.join()).toContain(name);
    expect(sayBroughtBack(told, 'id')).toContain('kept/id of the data folder');
    expect(existsSync(join(outside.path, 'db')) && await readFile(join(outside.path, 'db/state/one'), 'utf8')).not.toBe('of the action');
    await createRunFiles(home).remove('id');
    expect(await readFile(join(home, 'kept/id', DB, 'state/one'), 'utf8')).toBe('of the action');
    expect((await lstat(join(home, 'kept/id', name))).isDirectory()).toBe(false);
  });
}); // prettier-ignore

it('is the same for the mirror of a process on this host, whose links lead to the workspace', async () => {
  await put(workspace, 'artifacts/a', 'a');
  await put(workspace, 'settings.yml', 'real');
  await copied(true);
  await put(into, `${DB}/new`, 'new');
  await put(into, 'artifacts/b', 'b');
  await put(into, 'at-the-top', 'top');
  // As `sed -i` does: a file in place of the link.
  await rm(join(into, 'settings.yml'));
  await put(into, 'settings.yml', 'edited');
  await symlink(join(into, DB, 'new'), join(into, DB, 'absolute'));
  expect(await back()).toEqual({
    carried: 4,
    beside: ['settings.yml.polycrate-id'],
    undeleted: [],
    failed: [],
  });
  expect(await theirs(`${DB}/new`)).toBe('new');
  expect(await theirs('at-the-top')).toBe('top');
  expect(await readlink(join(workspace, DB, 'absolute'))).toBe(join(workspace, DB, 'new'));
  expect((await readdir(join(workspace, 'artifacts'))).sort()).toEqual(['a', 'b']);
  expect(await theirs('settings.yml')).toBe('real');
});

it.runIf(process.getuid?.() === 0)('leaves files to whom they belong, without rights of others', async () => {
  await chown(join(workspace, DB), 1234, 1234);
  await copied();
  expect((await stat(join(into, DB))).uid).toBe(1234);
  await put(into, `${DB}/mine`, 'x');
  await chown(join(into, DB, 'mine'), 1234, 1234);
  await chmod(join(into, DB, 'mine'), 0o4711);
  await back();
  expect(await stat(join(workspace, DB, 'mine'))).toMatchObject({ uid: 1234, gid: 1234 });
  expect((await stat(join(workspace, DB, 'mine'))).mode & 0o7777).toBe(0o711);
});

it('has nothing to do for a run without a copy', async () => {
  expect(await back()).toEqual({ carried: 0, ...ALL_WELL });
});
