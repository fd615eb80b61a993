import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnchorPlace } from '../../ledger/anchor.ts';
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { codeOf } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json.ts';
import { gitNotes, type Variables } from './git-notes.ts';

export const GIT = 'git:';

/** `git:` and a repository, a folder that is there (a file for each checkpoint), or a file (the newest one). */
export function anchorPlace(name: string, env: Variables): AnchorPlace {
  if (name.startsWith(GIT)) return gitNotes(name.slice(GIT.length), env);
  return {
    name,
    async read(ledger) {
      const file = (await isFolder(name)) ? await newestIn(name, ledger) : name;
      return file === null ? null : await readAnchorFile(file);
    },
    async write(checkpoint) {
      await replace((await isFolder(name)) ? join(name, fileName(checkpoint)) : name, anchorText(checkpoint));
    },
  };
}

export function anchorText(checkpoint: Checkpoint): string {
  return `${canonicalJson(checkpoint)}\n`;
}

async function readAnchorFile(file: string): Promise<Checkpoint | null> {
  try {
    return parseCheckpoint(await readFile(file, 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all. */
async function replace(file: string, text: string): Promise<void> {
  const draft = `${file}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(draft, text, { flag: 'wx' });
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** In the order of their names, the files of a ledger are in the order of their sizes. */
function fileName({ ledger, size }: Checkpoint): string {
  return `${ledger}-${String(size).padStart(12, '0')}.json`;
}

async function newestIn(folder: string, ledger: string): Promise<string | null> {
  const own = (await readdir(folder)).filter(
    (name) => name.startsWith(`${ledger}-`) && name.endsWith('.json'),
  );
  const newest = own.sort().at(-1);
  return newest === undefined ? null : join(folder, newest);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() ?? false;
}
