import { constants } from 'node:fs';
import { lchown, lstat, mkdir, open, realpath, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import { targetOf, type Moved, type Thing } from './copy-tree.ts';

/** The larger of one run's files stay where they are kept. */
const MAX_FILE_BYTES = 512 * 1024 * 1024;
const CHUNK = 256 * 1024;

export interface Place {
  /** The real path of the workspace. */
  root: string;
  name: string;
  source: string;
  run_id: string;
  moved: Moved;
}

/** Puts a file or a link in its place as a whole, or not at all. */
export async function putThing({ root, name, source, run_id, moved }: Place, thing: Thing): Promise<void> {
  const parent = await makeParent(root, name);
  // The same one after a crash, so that nothing of it stays.
  const draft = join(parent, `.${basename(name).slice(0, 100)}.polycrate-${run_id}.part`);
  await rm(draft, { force: true });
  try {
    if (thing.kind === 'link') await symlink(await targetOf(source, moved), draft);
    else await copyRegular(source, draft);
    await likeTheirs(source, draft);
    await rename(draft, join(parent, basename(name)));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

export async function makeFolder(root: string, name: string): Promise<void> {
  await mkdir(join(await makeParent(root, name), basename(name))).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error;
  });
}

/** The folder of a name, made if need be. */
async function makeParent(root: string, name: string): Promise<string> {
  try {
    return await safeParent(root, name);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    await makeFolder(root, dirname(name));
    return await safeParent(root, name);
  }
}

/** An action could have put a link in place of any folder on the way: then nothing is written through it. */
export async function safeParent(root: string, name: string): Promise<string> {
  const parent = join(root, dirname(name));
  if ((await realpath(parent)) !== parent) throw new Error('its folder is a link now');
  return parent;
}

/** Neither a link nor a pipe is opened; no more than rights to read, write and execute are kept. */
async function copyRegular(source: string, target: string): Promise<void> {
  const from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, size } = await from.stat();
    if (size > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`);
    const to = await open(target, 'wx', mode & 0o777);
    try {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, size + 1));
      for (;;) {
        const { bytesRead } = await from.read(buffer, 0, buffer.length, null);
        if (bytesRead === 0) break;
        await to.writeFile(buffer.subarray(0, bytesRead));
      }
      await to.chmod(mode & 0o777);
      await to.sync();
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function likeTheirs(source: string, target: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await lstat(source);
  await lchown(target, uid, gid);
}
