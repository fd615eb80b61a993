import { chown, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createGit } from '../../src/adapters/git/index.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import { commitAll, committed, git, poison } from '../support/git.ts';
import { tempFolder } from '../support/mcp.ts';

// Against the real git, in repositories that were made with it.

const folders: Awaited<ReturnType<typeof tempFolder>>[] = [];
let folder: string;
let work: string;
let marks: string;

const create = (env: Record<string, string> = { PATH: process.env['PATH']! }) =>
  createGit({ env, clock: systemClock, log: () => undefined });

beforeEach(async () => {
  const made = await tempFolder('git');
  folders.push(made);
  folder = made.path;
  work = join(folder, 'work');
  marks = join(folder, 'marks');
  await mkdir(work);
  await writeFile(join(work, 'one.txt'), 'one\n');
});
afterAll(() => Promise.all(folders.map(({ remove }) => remove())));

/** `lib` in it is another repository. */
async function withSubmodule(): Promise<void> {
  const library = join(folder, 'library');
  await mkdir(library);
  await writeFile(join(library, 'lib.txt'), 'lib\n');
  committed(library);
  git(work, 'init', '--quiet');
  git(work, 'submodule', '--quiet', 'add', library, 'lib');
  commitAll(work);
}

describe('the state of a repository', () => {
  it('is null where there is none', async () => {
    expect(await create().state(work)).toBeNull();
    expect(await create().head(work)).toBeNull();
  });

  it('names commit and branch, and whether files differ', async () => {
    const commit = committed(work);
    const state = () => create().state(work);
    expect(await state()).toEqual({ commit, branch: 'main', dirty: false });
    await writeFile(join(work, 'one.txt'), 'two\n');
    expect(await state()).toMatchObject({ dirty: true });
    git(work, 'checkout', '--quiet', 'one.txt');
    await utimes(join(work, 'one.txt'), new Date(), new Date(0));
    expect(await state(), 'touched, but the same').toMatchObject({ dirty: false });
    await writeFile(join(work, 'new.txt'), '');
    expect(await state(), 'untracked').toMatchObject({ dirty: true });
    await writeFile(join(work, '.git', 'info', 'exclude'), 'new.txt\n');
    expect(await state(), 'ignored in this clone').toMatchObject({ dirty: false });
    await rm(join(work, 'new.txt'));
    await writeFile(join(work, '.gitignore'), '*.log\n');
    const second = commitAll(work);
    await writeFile(join(work, 'x.log'), '');
    expect(await state()).toEqual({ commit: second, branch: 'main', dirty: false });
  });

  it('knows what a long-lived process has seen before', async () => {
    const one = create();
    const first = committed(work);
    await pause(150);
    expect(await one.head(work)).toEqual({ commit: first, branch: 'main' });
    expect(await one.head(work)).toEqual({ commit: first, branch: 'main' });
    const second = git(work, 'commit', '--quiet', '--allow-empty', '-m', 'x') || git(work, 'rev-parse', 'HEAD');
    expect(await one.head(work)).toEqual({ commit: second, branch: 'main' });
    git(work, 'pack-refs', '--all');
    expect(await one.head(work)).toEqual({ commit: second, branch: 'main' });
    git(work, 'checkout', '--quiet', '-b', 'feature/x');
    expect(await one.head(work)).toEqual({ commit: second, branch: 'feature/x' });
    git(work, 'checkout', '--quiet', first);
    expect(await one.state(work)).toEqual({ commit: first, branch: null, dirty: false });
    git(work, 'checkout', '--quiet', 'main');
    git(work, 'reset', '--quiet', '--soft', first);
    expect(await one.head(work)).toEqual({ commit: first, branch: 'main' });
  }); // prettier-ignore

  it('of a repository without a commit', async () => {
    git(work, 'init', '--quiet');
    expect(await create().state(work)).toEqual({ commit: null, branch: 'main', dirty: true });
  });

  it('is about the workspace where the repository holds more', async () => {
    const inner = join(work, 'workspaces', 'shop');
    await mkdir(inner, { recursive: true });
    await writeFile(join(inner, 'workspace.poly'), 'name: shop\n');
    const commit = committed(work);
    await writeFile(join(work, 'one.txt'), 'changed\n');
    expect(await create().state(inner)).toEqual({ commit, branch: 'main', dirty: false });
    await writeFile(join(inner, 'workspace.poly'), 'name: changed\n');
    expect(await create().state(inner)).toMatchObject({ dirty: true });
  });

  it('of a linked work tree, and of one with SHA-256', async () => {
    committed(work);
    const linked = join(folder, 'linked');
    git(work, 'worktree', 'add', '--quiet', '-b', 'other', linked);
    expect(await create().state(linked)).toMatchObject({ branch: 'other', dirty: false });
    const modern = join(folder, 'modern');
    git(folder, 'init', '--quiet', '--object-format=sha256', modern);
    await writeFile(join(modern, 'a'), 'a');
    const commit = commitAll(modern);
    expect(commit).toHaveLength(64);
    expect(await create().state(modern)).toEqual({ commit, branch: 'main', dirty: false });
  });

  it('of submodules: another commit, or changes in one', async () => {
    await withSubmodule();
    expect(await create().state(work)).toMatchObject({ dirty: false });
    await writeFile(join(work, 'lib', 'lib.txt'), 'changed\n');
    expect(await create().state(work)).toMatchObject({ dirty: true });
    git(join(work, 'lib'), 'checkout', '--quiet', 'lib.txt');
    git(join(work, 'lib'), 'commit', '--quiet', '--allow-empty', '-m', 'y');
    expect(await create().state(work)).toMatchObject({ dirty: true });
  });

  it("of somebody else's repository, which git itself would refuse", async () => {
    const commit = committed(work);
    if (process.getuid?.() === 0) {
      await chown(work, 12_345, 12_345);
      await chown(join(work, '.git'), 12_345, 12_345);
      expect(() => git(work, 'status')).toThrow(/dubious ownership/);
    }
    expect(await create().state(work)).toEqual({ commit, branch: 'main', dirty: false });
  });

  it('is null where there is no git, and where .git is none', async () => {
    committed(work);
    expect(await create({ PATH: folder }).state(work)).toBeNull();
    const strange = join(folder, 'strange');
    await mkdir(strange);
    await writeFile(join(strange, '.git'), 'gitdir: /nowhere/at/all\n');
    expect(await create().state(strange)).toBeNull();
    await rm(join(strange, '.git'));
    await symlink('/dev/zero', join(strange, '.git'));
    expect(await create().state(strange)).toBeNull();
  });

  it('does not wait for ever', async () => {
    committed(work);
    await rm(join(work, '.git', 'index'));
    await promisedFifo(join(work, '.git', 'index'));
    const before = performance.now();
    const slow = createGit({ env: { PATH: process.env['PATH']! }, clock: systemClock, log: () => undefined, timeoutMs: 300 });
    expect(await slow.state(work)).toMatchObject({ branch: 'main', dirty: null });
    expect(performance.now() - before).toBeLessThan(5_000);
  }); // prettier-ignore
});

async function promisedFifo(path: string): Promise<void> {
  const { execFileSync } = await import('node:child_process');
  execFileSync('mkfifo', [path]);
}

describe('a repository whose configuration names programs', () => {
  it('executes none of them, for a real git would have', async () => {
    await writeFile(join(work, '.gitattributes'), '* filter=evil diff=evil\n');
    committed(work);
    poison(work, marks);
    const touch = () => utimes(join(work, 'one.txt'), new Date(), new Date(0));
    await touch();
    expect(await create().state(work)).toMatchObject({ dirty: false });
    // Of the same size, so that nobody knows without reading it through the filter.
    await writeFile(join(work, 'one.txt'), 'two\n');
    await touch();
    expect(await create().state(work)).toMatchObject({ dirty: true });
    expect(existsSync(marks)).toBe(false);
    expect(() => git(work, 'status')).toThrow(/filter 'evil' failed/);
    expect(await readFile(marks, 'utf8'), 'the bait is good').toMatch(/fsmonitor[^]*process/);
  });

  it('executes none when a commit is checked out, and writes only what is asked for', async () => {
    const inner = join(work, 'workspaces', 'shop');
    await mkdir(inner, { recursive: true });
    await writeFile(join(inner, 'a.sh'), 'echo a\n', { mode: 0o755 });
    await symlink('a.sh', join(inner, 'link'));
    await writeFile(join(work, '.gitattributes'), '* filter=evil diff=evil\n');
    const commit = committed(work);
    await writeFile(join(inner, 'a.sh'), 'echo b\n');
    commitAll(work);
    poison(work, marks);
    const seen = await create().checkedOut(inner, commit, async (view) => ({
      names: (await readdir(view)).sort(),
      text: await readFile(join(view, 'link'), 'utf8'),
      mode: (await stat(join(view, 'a.sh'))).mode & 0o111,
      view,
    }));
    expect(seen).toMatchObject({ names: ['a.sh', 'link'], text: 'echo a\n', mode: 0o111 });
    expect(existsSync(seen!.view)).toBe(false);
    expect(existsSync(marks)).toBe(false);
    for (const no of ['0'.repeat(40), '--help', 'main', `${commit.slice(0, 39)}^`]) {
      expect(await create().checkedOut(inner, no, async () => 'used'), no).toBeNull();
    }
  });

  it('executes none of a submodule either', async () => {
    await withSubmodule();
    git(join(work, 'lib'), 'config', 'core.fsmonitor', `echo inner >> ${marks}; false`);
    await utimes(join(work, 'lib', 'lib.txt'), new Date(), new Date(0));
    expect(await create().state(work)).toMatchObject({ dirty: false });
    expect(existsSync(marks)).toBe(false);
    git(work, 'status');
    expect(existsSync(marks), 'the bait is good').toBe(true);
  });

  it('changes nothing in it', async () => {
    committed(work);
    await utimes(join(work, 'one.txt'), new Date(), new Date(0));
    const before = await readFile(join(work, '.git', 'index'));
    await create().state(work);
    expect((await readFile(join(work, '.git', 'index'))).equals(before)).toBe(true);
  });
});
