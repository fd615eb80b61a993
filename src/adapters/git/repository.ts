import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** A repository as it lies on disk. Looked for by hand, because git would read its configuration to find it. */
export interface Repository {
  /** The folder that is checked out. */
  top: string;
  /** HEAD and index; in a linked work tree another folder than the shared one. */
  gitDir: string;
  /** Objects, branches and configuration. */
  commonDir: string;
}

const LONGEST_POINTER = 4_096;

/** The repository that a folder is in: its own, or that of the nearest folder above. */
export async function findRepository(folder: string): Promise<Repository | null> {
  for (let top = folder; ; top = dirname(top)) {
    const gitDir = await gitDirOf(top);
    if (gitDir !== null) {
      const shared = await pointer(join(gitDir, 'commondir'), /^(.+)$/);
      return { top, gitDir, commonDir: shared === null ? gitDir : resolve(gitDir, shared) };
    }
    if (dirname(top) === top) return null;
  }
}

async function gitDirOf(top: string): Promise<string | null> {
  const place = join(top, '.git');
  const facts = await stat(place).catch(() => null);
  if (!facts) return null;
  const told = facts.isDirectory() ? '.git' : await pointer(place, /^gitdir: (.+)$/);
  if (told === null) return null;
  const gitDir = resolve(top, told);
  return (await stat(join(gitDir, 'HEAD')).catch(() => null))?.isFile() ? gitDir : null;
}

/** What a small file of one line says; null: it is not there, or no such file. */
async function pointer(file: string, line: RegExp): Promise<string | null> {
  const facts = await stat(file).catch(() => null);
  if (!facts?.isFile() || facts.size > LONGEST_POINTER) return null;
  const text = await readFile(file, 'utf8').catch(() => '');
  return line.exec(text.trimEnd())?.[1] ?? null;
}
