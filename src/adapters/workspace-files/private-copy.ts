import {
  chmod,
  copyFile,
  cp,
  lchown,
  lstat,
  mkdir,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { outermost, type PrivateCopies, type PrivateCopy } from '../../runs/private-copy.ts';
import { AppError, messageOf } from '../../shared/errors.ts';
import { bringBack } from './bring-back.ts';
import { containedPath } from './contained.ts';
import { writeManifest } from './copy-tree.ts';
import { digestFile, digestOf } from './digest.ts';

/** Copies first and looks then: what is executed is what was looked at. */
export function createPrivateCopies(): PrivateCopies {
  return {
    async make(into, copy) {
      if (copy.how === 'checked') return await look(copy);
      // Only a whole copy ever has this name.
      if (await exists(into)) return;
      const draft = `${into}.draft`;
      await rm(draft, { recursive: true, force: true });
      await mkdir(dirname(into), { recursive: true, mode: 0o700 });
      await mkdir(draft, { mode: 0o755 });
      try {
        const root = await realpath(draft);
        await fill(root, copy);
        await verify(root, copy);
        if (copy.mirror) await mirror(root, copy);
        if (copy.how === 'writable') await writeManifest(root, into, await realpath(copy.workspace));
        await rename(draft, into);
      } catch (error) {
        await rm(draft, { recursive: true, force: true });
        asChanged(error);
      }
    },
    bringBack,
  };
}

async function look(copy: PrivateCopy): Promise<void> {
  try {
    await verify(await realpath(copy.workspace), copy);
  } catch (error) {
    throw error instanceof AppError && error.code === 'plan_changed'
      ? error
      : changed(messageOf(error), error);
  }
}

function asChanged(error: unknown): never {
  throw error instanceof AppError ? error : changed(messageOf(error), error);
}

async function fill(root: string, { workspace, from, dirs, files }: PrivateCopy): Promise<void> {
  const blocks = from ?? workspace;
  for (const dir of outermost(dirs)) {
    await containedPath(blocks, dir);
    await mkdir(dirname(join(root, dir)), { recursive: true });
    await cp(join(blocks, dir), join(root, dir), {
      recursive: true,
      verbatimSymlinks: true,
      // Not a part of the digest, hence not of the copy.
      filter: (source) => basename(source) !== '.git',
    });
    if (process.getuid?.() === 0) await likeTheirs(join(blocks, dir), join(root, dir));
  }
  for (const { relative } of files) {
    const kept = from === null ? null : await containedPath(from, relative);
    const source = kept ?? (await containedPath(workspace, relative));
    if (source === null || !(await lstat(source)).isFile()) throw changed(`${relative} is gone`);
    await mkdir(dirname(join(root, relative)), { recursive: true });
    // It may lie in the folder of a block, where it came along; a link there leads to it.
    if (!(await exists(join(root, relative)))) await copyFile(source, join(root, relative));
  }
}

async function verify(root: string, { dirs, digest, files }: PrivateCopy): Promise<void> {
  if ((await digestOf(root, dirs)) !== digest) throw changed('files of the block are not what was agreed to');
  for (const file of files) {
    const path = await containedPath(root, file.relative);
    if (path === null || (await digestFile(path)).digest !== file.digest) {
      throw changed(`${file.relative} is not what was agreed to`);
    }
  }
}

/** An action that is another user in its container may write where it could in the workspace. */
async function likeTheirs(source: string, target: string): Promise<void> {
  const { uid, gid } = await lstat(source);
  await lchown(target, uid, gid);
  if (!(await lstat(target)).isDirectory()) return;
  for (const name of await readdir(target)) await likeTheirs(join(source, name), join(target, name));
}

/** All that was not copied is a link to the real thing; what is read-only refuses new files, too. */
async function mirror(root: string, { workspace, dirs, files, how }: PrivateCopy): Promise<void> {
  const copied = outermost(dirs);
  const opened = new Set(['.']);
  for (const path of [...copied, ...files.map(({ relative }) => relative)]) {
    if (copied.some((dir) => path.startsWith(`${dir}/`))) continue;
    for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) opened.add(parent);
  }
  for (const folder of opened) {
    const there = new Set(await readdir(join(root, folder)));
    for (const name of await readdir(join(workspace, folder))) {
      if (!there.has(name)) await symlink(join(workspace, folder, name), join(root, folder, name));
    }
  }
  if (how === 'read-only') for (const dir of copied) await refuseNewFiles(join(root, dir));
}

async function refuseNewFiles(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await refuseNewFiles(join(folder, entry.name));
  }
  await chmod(folder, (await stat(folder)).mode & 0o555);
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null;
}

function changed(what: string, cause?: unknown): AppError {
  return new AppError('plan_changed', `the plan is not the one that was agreed to any more: ${what}`, {
    next: 'call plan_action, look at what would run now, and run that',
    cause,
  });
}
