import type { Dirent } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../../blocks/block.ts';
import { codeOf } from '../../shared/errors.ts';
import type { Scan } from './scan.ts';
import { WORKSPACE_FILE } from './workspace-file.ts';

/** A folder to look into. Not named: the current folder, listed if it is a workspace, but nothing runs there. */
export interface Root {
  path: string;
  named: boolean;
}

export interface Discovery {
  /** Real paths, each once. */
  workspaces: { path: string; runnable: boolean }[];
  problems: Problem[];
}

const MAX_ENTRIES = 10_000;

/** Workspaces in the roots: a root itself, or folders at NAME or ORGANIZATION/NAME below it (facts 1.1). */
export async function discover(roots: readonly Root[], scan: Scan): Promise<Discovery> {
  const problems: Problem[] = [];
  const perRoot = await Promise.all(roots.map((root) => searchRoot(root, { ...scan, problems })));
  const runnable = new Map<string, boolean>();
  roots.forEach((root, index) => {
    for (const path of perRoot[index] ?? []) runnable.set(path, root.named || (runnable.get(path) ?? false));
  });
  return { workspaces: [...runnable].map(([path, named]) => ({ path, runnable: named })), problems };
}

interface Search extends Scan {
  problems: Problem[];
}

async function searchRoot(root: Root, search: Search): Promise<string[]> {
  search.witnesses.note(root.path);
  try {
    const path = await search.limit(() => realpath(root.path));
    if (await isWorkspace(path, search)) return [path];
    return root.named ? await searchBelow(path, 2, search) : [];
  } catch (error) {
    search.witnesses.doubt();
    if (root.named) search.problems.push(rootProblem(root.path, error));
    return [];
  }
}

/** Links are followed here: the folders above workspaces belong to the operator, not to a workspace. */
async function searchBelow(folder: string, levels: number, search: Search): Promise<string[]> {
  search.witnesses.note(folder);
  const entries = await search.limit(() => search.entries(folder));
  const names = entries.filter(mayHoldWorkspace).map((entry) => entry.name);
  if (names.length > MAX_ENTRIES) {
    search.problems.push(
      rootProblem(folder, new Error(`holds more than ${MAX_ENTRIES} folders; the rest is not read`)),
    );
    names.length = MAX_ENTRIES;
  }
  const found = await Promise.all(names.map((name) => searchFolder(join(folder, name), levels, search)));
  return found.flat();
}

async function searchFolder(folder: string, levels: number, search: Search): Promise<string[]> {
  try {
    if (await isWorkspace(folder, search)) return [await search.limit(() => realpath(folder))];
    return levels > 1 ? await searchBelow(folder, levels - 1, search) : [];
  } catch (error) {
    // A link to a file, or a folder that vanished meanwhile: not a folder of workspaces.
    if (!['ENOTDIR', 'ENOENT'].includes(codeOf(error) ?? '')) {
      search.witnesses.doubt();
      search.problems.push(rootProblem(folder, error));
    }
    return [];
  }
}

function mayHoldWorkspace(entry: Dirent): boolean {
  return !entry.name.startsWith('.') && (entry.isDirectory() || entry.isSymbolicLink());
}

async function isWorkspace(folder: string, { limit, witnesses }: Search): Promise<boolean> {
  const file = join(folder, WORKSPACE_FILE);
  witnesses.note(file);
  try {
    await limit(() => lstat(file));
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

const REASONS: Partial<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is not a folder',
  EACCES: 'cannot be read: permission denied',
  ELOOP: 'is a link that leads back to itself',
};

function rootProblem(path: string, error: unknown): Problem {
  const message = REASONS[codeOf(error) ?? ''] ?? (error instanceof Error ? error.message : 'cannot be read');
  return { severity: 'error', file: path, line: null, message };
}
