import { chmod, lstat, mkdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createRunFiles } from '../../src/adapters/host/host.ts';
import { digestFile, digestOf } from '../../src/adapters/workspace-files/digest.ts';
import { createPrivateCopies } from '../../src/adapters/workspace-files/private-copy.ts';
import { copyMounts, type CopyHow, type PrivateCopy } from '../../src/runs/private-copy.ts';
import { tempFolder } from '../support/mcp.ts';

const folders: Awaited<ReturnType<typeof tempFolder>>[] = [];
let workspace: string;
let into: string;
const copies = createPrivateCopies();

beforeEach(async () => {
  const made = await tempFolder('copy');
  folders.push(made);
  workspace = join(made.path, 'workspace');
  into = join(made.path, 'run', 'id', 'copy');
  await mkdir(join(workspace, 'blocks', 'db', 'files'), { recursive: true });
  await mkdir(join(workspace, 'blocks', 'base'), { recursive: true });
  await mkdir(join(workspace, 'artifacts'));
  await writeFile(join(workspace, 'blocks', 'db', 'run.sh'), 'echo agreed\n');
  await chmod(join(workspace, 'blocks', 'db', 'run.sh'), 0o755);
  await writeFile(join(workspace, 'blocks', 'db', 'files', 'x'), 'x');
  await symlink('files/x', join(workspace, 'blocks', 'db', 'link'));
  await writeFile(join(workspace, 'blocks', 'base', 'y'), 'y');
  await writeFile(join(workspace, 'inventory.yml'), 'all: {}\n');
});
afterAll(() => Promise.all(folders.map(({ remove }) => remove())));

async function agreed(mirror = false, how: CopyHow = 'read-only'): Promise<PrivateCopy> {
  const dirs = ['blocks/db', 'blocks/base'];
  return {
    workspace,
    from: null,
    dirs,
    digest: await digestOf(workspace, dirs),
    files: [
      {
        relative: 'inventory.yml',
        digest: (await digestFile(join(workspace, 'inventory.yml'))).digest,
      },
    ],
    mirror,
    how,
  };
}
const read = (file: string) => readFile(join(into, file), 'utf8');

it('has the same content, modes and links, and nothing else', async () => {
  await mkdir(join(workspace, 'blocks', 'db', '.git'));
  await writeFile(join(workspace, 'blocks', 'db', '.git', 'config'), '');
  const copy = await agreed();
  await copies.make(into, copy);
  expect(await read('blocks/db/run.sh')).toBe('echo agreed\n');
  expect((await stat(join(into, 'blocks/db/run.sh'))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(into, 'blocks/db/link'))).toBe('files/x');
  expect(await read('inventory.yml')).toBe('all: {}\n');
  expect(existsSync(join(into, 'blocks/db/.git'))).toBe(false);
  expect(existsSync(join(into, 'artifacts'))).toBe(false);
  expect(await digestOf(into, copy.dirs)).toBe(copy.digest);
});

describe.each<[string, () => Promise<unknown>]>([
  ['another content', () => writeFile(join(workspace, 'blocks/db/run.sh'), 'echo other\n')],
  ['another file', () => writeFile(join(workspace, 'blocks/base/ansible.cfg'), '')],
  ['one file less', () => rm(join(workspace, 'blocks/db/files/x'))],
  ['another mode', () => chmod(join(workspace, 'blocks/db/run.sh'), 0o644)],
  ['another inventory', () => writeFile(join(workspace, 'inventory.yml'), 'all: {hosts: {evil: }}\n')],
  ['no inventory', () => rm(join(workspace, 'inventory.yml'))],
  ['a pipe', async () => execFileSync('mkfifo', [join(workspace, 'blocks/db/pipe')])],
  ['no folder', () => rm(join(workspace, 'blocks/base'), { recursive: true })],
])('with %s than what was agreed to', (_, change) => {
  it('is refused and leaves nothing', async () => {
    const copy = await agreed();
    await change();
    await expect(copies.make(into, copy)).rejects.toMatchObject({ code: 'plan_changed' });
    expect(existsSync(into)).toBe(false);
    expect(existsSync(`${into}.draft`)).toBe(false);
    await expect(copies.make(into, { ...copy, how: 'checked' })).rejects.toMatchObject({
      code: 'plan_changed',
    });
  });
});

it('is only looked at where the operator wants no copy', async () => {
  await copies.make(into, await agreed(false, 'checked'));
  expect(existsSync(into)).toBe(false);
  expect(copyMounts(await agreed(false, 'checked'), into, '/workspace')).toEqual([]);
});

it('stays as it is once it is there, whoever asks again', async () => {
  const copy = await agreed();
  await mkdir(`${into}.draft`, { recursive: true });
  await writeFile(join(`${into}.draft`, 'left'), 'of a try that was killed');
  await copies.make(into, copy);
  await writeFile(join(workspace, 'blocks/db/run.sh'), 'echo other\n');
  await copies.make(into, copy);
  expect(await read('blocks/db/run.sh')).toBe('echo agreed\n');
  expect(existsSync(join(into, 'left'))).toBe(false);
});

it('mirrors the rest of the workspace for a process on this host, and can be removed', async () => {
  await mkdir(join(workspace, 'blocks', 'other'));
  await copies.make(into, await agreed(true));
  expect(await readlink(join(into, 'artifacts'))).toBe(join(workspace, 'artifacts'));
  expect(await readlink(join(into, 'blocks', 'other'))).toBe(join(workspace, 'blocks', 'other'));
  expect((await lstat(join(into, 'blocks', 'db'))).isDirectory()).toBe(true);
  expect((await stat(join(into, 'blocks', 'db', 'files'))).mode & 0o222).toBe(0);
  await writeFile(join(into, 'blocks/db/../../artifacts/state'), 'kept');
  expect(await readFile(join(workspace, 'artifacts', 'state'), 'utf8')).toBe('kept');
  await createRunFiles(join(into, '..', '..', '..')).remove('id');
  expect(existsSync(into)).toBe(false);
  expect(existsSync(join(workspace, 'artifacts', 'state'))).toBe(true);
});

it('is mounted once for folders in folders', async () => {
  const copy = {
    ...(await agreed()),
    dirs: ['blocks/a/b', 'blocks/a', 'blocks/ab'],
    files: [
      { relative: 'blocks/a/inventory.yml', digest: '' },
      { relative: 'k.yml', digest: '' },
    ],
  };
  expect(copyMounts(copy, '/run/copy', '/workspace').every(({ readonly }) => readonly)).toBe(true);
  const writable = copyMounts({ ...copy, how: 'writable' }, '/run/copy', '/workspace');
  expect(writable.some(({ readonly }) => readonly)).toBe(false);
  expect(writable.map(({ container }) => container)).toEqual([
    '/workspace/blocks/a', '/workspace/blocks/ab', '/workspace/k.yml',
  ]); // prettier-ignore
});
