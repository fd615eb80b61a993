import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import type { BundleSink } from '../../history/export-bundle.ts';
import type { MergeBundles } from '../../history/merge-journal.ts';
import { MANIFEST, type BundleFile } from '../../ledger/bundle.ts';
import type { BundleSource } from '../../ledger/verify-bundle.ts';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';

/** Pieces smaller than this are gathered before they are written. */
const BUFFER_BYTES = 256 * 1024;
/** Files that stay open: the tables grow side by side, logs come one after the other and never again. */
const MOST_OPEN = 8;

/** Bundles that a program makes and names itself, each in a folder of its own below one that is made when first needed. */
export function bundlesIn(parent: string): MergeBundles {
  return {
    async create(name) {
      await mkdir(parent, { recursive: true, mode: 0o700 });
      return await createBundleFolder(join(parent, name));
    },
    async open(name) {
      const folder = join(parent, name);
      return (await stat(folder).catch(() => null)) && openBundleFolder(folder);
    },
  };
}

/** A bundle in the making, beside its place until it is whole. */
export interface BundleDraft extends BundleSink {
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** Throws `configuration` if something is at `folder` already. */
export async function createBundleFolder(folder: string): Promise<BundleDraft> {
  await refuseTaken(folder);
  await sweepDrafts(folder);
  const draft = `${folder}.${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}.part`;
  await mkdir(draft, { mode: 0o700 });
  const kept = discardWhenStopped(draft);
  const done: BundleFile[] = [];
  /** The one that was written to last is the last one. */
  const open = new Map<string, Growing>();
  const closeAllBut = async (most: number): Promise<void> => {
    for (const [name, file] of [...open].slice(0, Math.max(0, open.size - most))) {
      done.push(await file.close());
      open.delete(name);
    }
  };
  return {
    async write(name, chunk) {
      const file = open.get(name) ?? growing(join(draft, name), name);
      open.delete(name);
      open.set(name, file);
      await file.add(chunk);
      await closeAllBut(MOST_OPEN);
    },
    async finish() {
      await closeAllBut(0);
      return [...done].sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async publish() {
      await refuseTaken(folder);
      await rename(draft, folder);
      kept();
    },
    async discard() {
      await rm(draft, { recursive: true, force: true });
      kept();
    },
  };
}

/** Somebody who stops an export wants nothing of it. Answers what ends the watch. */
function discardWhenStopped(draft: string): () => void {
  const stop = (signal: NodeJS.Signals): void => {
    end();
    rmSync(draft, { recursive: true, force: true });
    // Once more, with nobody listening: the process ends as that signal ends processes.
    process.kill(process.pid, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const end = (): void => signals.forEach((signal) => process.off(signal, stop));
  for (const signal of signals) process.once(signal, stop);
  return end;
}

/** What exports from this host to the same place left behind that were killed. */
async function sweepDrafts(folder: string): Promise<void> {
  const [parent, name] = [dirname(folder), `${basename(folder)}.${hostname()}-`];
  for (const entry of await readdir(parent).catch(() => [])) {
    const pid =
      entry.startsWith(name) && /^([1-9][0-9]*)-[0-9a-f]{8}\.part$/.exec(entry.slice(name.length))?.[1];
    if (pid && !isAlive(Number(pid))) await rm(join(parent, entry), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

async function refuseTaken(folder: string): Promise<void> {
  const there = await stat(folder).catch(() => null);
  if (there) throw new AppError('configuration', `${folder} exists already`, { next: 'name another with --out' });
} // prettier-ignore

interface Growing {
  add(chunk: string | Uint8Array): Promise<void>;
  close(): Promise<BundleFile>;
}

function growing(path: string, name: string): Growing {
  const hash = createHash('sha256');
  let [bytes, waiting] = [0, 0];
  let chunks: Buffer[] = [];
  let handle: FileHandle | null = null;
  const flush = async (): Promise<FileHandle> => {
    if (!handle) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    handle ??= await open(path, 'wx', 0o600);
    await handle.appendFile(Buffer.concat(chunks));
    [chunks, waiting] = [[], 0];
    return handle;
  };
  return {
    async add(chunk) {
      const data = Buffer.from(chunk as Uint8Array);
      hash.update(data);
      chunks.push(data);
      bytes += data.length;
      waiting += data.length;
      if (waiting >= BUFFER_BYTES) await flush();
    },
    async close() {
      const written = await flush();
      await written.sync();
      await written.close();
      return { name, bytes, sha256: hash.digest('hex') };
    },
  };
}

/** Reads a bundle in a folder. A link is not followed: it is no file of the bundle. */
export function openBundleFolder(folder: string): BundleSource {
  return {
    async manifest() {
      try {
        return await readFile(join(folder, MANIFEST), 'utf8');
      } catch (error) {
        throw new AppError('configuration', `${folder} cannot be read as a bundle: ${messageOf(error)}`, {
          next: '`polycrate-mcp ledger export --out FOLDER` makes one',
        });
      }
    },
    async names() {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
        .filter((name) => name !== MANIFEST)
        .sort();
    },
    digest: (name) => digestOf(join(folder, name), name),
    lines: (name) => linesOf(join(folder, name)),
  };
}

/** Lines end with a line feed and with nothing else: text may hold every other break. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, {
    highWaterMark: BUFFER_BYTES,
  }) as AsyncIterable<Buffer>) {
    const data = Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = data.indexOf(10); at !== -1; at = data.indexOf(10, from)) {
      yield data.toString('utf8', from, at);
      from = at + 1;
    }
    rest = data.subarray(from);
  }
  if (rest.length > 0) yield rest.toString('utf8');
}

async function digestOf(path: string, name: string): Promise<BundleFile | null> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    if (['ENOENT', 'EISDIR', 'ENOTDIR'].includes(codeOf(error) ?? '')) return null;
    throw error;
  }
  return { name, bytes, sha256: hash.digest('hex') };
}
