import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import { digestFile } from './digest.ts';

/** What is at a name: a content by its digest. `special`: pipes, sockets, devices. */
export type Thing = { kind: 'file' | 'executable' | 'link'; digest: string } | { kind: 'folder' | 'special' };

/** A copy as it was made, kept beside it until its run is over. */
export interface Manifest {
  /** The real path of the workspace that it was made for. */
  workspace: string;
  things: Readonly<Record<string, Thing>>;
}

/** More names than this are not looked through after a run. */
export const MOST_THINGS = 60_000;

/** Before the copy gets its name: where there is a copy, there is this. */
export async function writeManifest(root: string, copy: string, workspace: string): Promise<void> {
  const things: Record<string, Thing> = Object.create(null) as Record<string, Thing>;
  for (const name of await namesBelow(root)) {
    const thing = await thingAt(join(root, name), { from: root, to: workspace });
    if (thing) things[name] = thing;
  }
  await writeWhole(manifestOf(copy), { workspace, things } satisfies Manifest);
}

/** Null: the copy was not to be changed, or there never was one. */
export async function readManifest(copy: string): Promise<Manifest | null> {
  const text = await readFile(manifestOf(copy), 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  });
  return text === null ? null : (JSON.parse(text) as Manifest);
}

function manifestOf(copy: string): string {
  return `${copy}.json`;
}

export async function writeWhole(path: string, content: object): Promise<void> {
  await writeFile(`${path}.draft`, JSON.stringify(content), { mode: 0o600 });
  await rename(`${path}.draft`, path);
}

/** Every name below, folders before what is in them; links are not followed. */
export async function namesBelow(root: string): Promise<string[]> {
  const names: string[] = [];
  const waiting = [''];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await readdir(join(root, next), { withFileTypes: true })) {
      const name = next === '' ? entry.name : `${next}/${entry.name}`;
      names.push(name);
      if (entry.isDirectory()) waiting.push(name);
      if (names.length > MOST_THINGS) throw new Error(`holds more than ${MOST_THINGS} names`);
    }
  }
  return names.sort();
}

/** Where the target of a link begins in the copy, and where it is to begin. */
export interface Moved {
  from: string;
  to: string;
}

/** Null: nothing is there. */
export async function thingAt(path: string, moved: Moved | null): Promise<Thing | null> {
  try {
    const stats = await lstat(path);
    if (stats.isDirectory()) return { kind: 'folder' };
    if (stats.isSymbolicLink()) {
      return { kind: 'link', digest: textDigest(await targetOf(path, moved)) };
    }
    if (!stats.isFile()) return { kind: 'special' };
    const { digest, executable } = await digestFile(path);
    return { kind: executable ? 'executable' : 'file', digest };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return null;
    throw error;
  }
}

/** A link into the copy means the same place of the workspace. */
export async function targetOf(path: string, moved: Moved | null): Promise<string> {
  const target = await readlink(path);
  if (moved === null || (target !== moved.from && !target.startsWith(`${moved.from}/`))) return target;
  return moved.to + target.slice(moved.from.length);
}

function textDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export function isSame(a: Thing | null, b: Thing | null): boolean {
  if (a === null || b === null) return a === b;
  return a.kind === b.kind && ('digest' in a ? a.digest : '') === ('digest' in b ? b.digest : '');
}
