import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import { sha256 } from '../../shared/json.ts';
import { containedPath } from './contained.ts';

const MAX_FILES = 20_000;
const MAX_BYTES = 512 * 1024 * 1024;
const CHUNK = 256 * 1024;

/**
 * SHA-256 over folders below the workspace: for each file, in order of its name, a JSON line of name, kind
 * (`file`, `executable`, `link`, `other`) and the digest of its content; of a link, of its target's text. What
 * git does not keep does not count: empty folders, other mode bits, `.git` itself.
 */
export async function digestOf(root: string, dirs: readonly string[]): Promise<string> {
  const files = new Map<string, Entry>();
  for (const dir of dirs) {
    if ((await containedPath(root, dir)) === null) {
      throw new AppError('broken_definition', `The folder ${dir} is gone.`, {
        next: 'Call get_block again.',
      });
    }
    await collect(root, dir, files);
  }
  const budget = { bytes: MAX_BYTES };
  const hash = createHash('sha256');
  for (const name of [...files.keys()].sort()) {
    const entry = files.get(name) as Entry;
    hash.update(`${JSON.stringify([name, ...(await describe(join(root, name), entry, budget))])}\n`);
  }
  return hash.digest('hex');
}

type Entry = 'file' | 'link' | 'other';

async function collect(root: string, dir: string, into: Map<string, Entry>): Promise<void> {
  const waiting = [dir];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await readdir(join(root, next), { withFileTypes: true })) {
      const name = `${next}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== '.git') waiting.push(name);
      } else {
        into.set(name, entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other');
      }
      if (into.size > MAX_FILES) throw tooLarge(dir, `holds more than ${MAX_FILES} files`);
    }
  }
}

async function describe(path: string, entry: Entry, budget: { bytes: number }): Promise<[string, string]> {
  if (entry === 'link') return ['link', sha256(await readlink(path, { encoding: 'buffer' }))];
  if (entry === 'other') return ['other', ''];
  const { digest, executable } = await digestFile(path, budget);
  return [executable ? 'executable' : 'file', digest];
}

/** SHA-256 of one regular file, read in pieces. */
export async function digestFile(
  path: string,
  budget = { bytes: MAX_BYTES },
): Promise<{ digest: string; executable: boolean }> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, stats.size + 1));
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return { digest: hash.digest('hex'), executable: (stats.mode & 0o111) !== 0 };
      budget.bytes -= bytesRead;
      if (budget.bytes < 0) throw tooLarge('the folder', `holds more than ${MAX_BYTES / 1024 / 1024} MiB`);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

function tooLarge(what: string, problem: string): AppError {
  return new AppError('refused', `${what} ${problem}: too much to digest before a run.`, {
    next: 'Move data that is not part of the block out of its folder.',
  });
}
