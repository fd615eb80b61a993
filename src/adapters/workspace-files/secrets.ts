import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { containedPath } from './contained.ts';

const MAX_FILES = 5000;
export const ENCRYPTED = '.age';

export interface SecretFiles {
  secrets: Record<string, string>;
  encrypted: string[];
}

/**
 * Names of the files below `artifacts/secrets`, never their contents. A block's own sub-folder wins over files
 * for all; other sub-folders keep their path as name. Links are left out.
 */
export async function secretsOf(
  workspace: Pick<Workspace, 'path' | 'config'>,
  block: { name: string },
  opened: ReadonlyMap<string, unknown>,
): Promise<SecretFiles> {
  const { folder, names: found } = await secretFolder(workspace);
  const more = [...opened.keys()].filter((name) => name.startsWith(`${folder}/`));
  const names = [...found, ...more.map((name) => name.slice(folder.length + 1))];
  const plain = names.filter((name) => !name.endsWith(ENCRYPTED));
  const own = `${block.name}/`;
  const shared = plain.filter((name) => !name.startsWith(own)).map((name) => [name, name] as const);
  const mine = plain
    .filter((name) => name.startsWith(own))
    .map((name) => [name.slice(own.length), name] as const);
  const secrets = [...shared, ...mine].map(([name, file]) => [name, `${folder}/${file}`] as const);
  const locked = await lockedFiles(workspace);
  return {
    secrets: Object.fromEntries(secrets),
    encrypted: locked.filter((name) => !opened.has(name.slice(0, -ENCRYPTED.length))),
  };
}

/** Encrypted files without their plain file, secrets.poly.age first. */
export async function lockedFiles(workspace: Pick<Workspace, 'path' | 'config'>): Promise<string[]> {
  const { folder, names } = await secretFolder(workspace);
  const below = lockedOf(names).map((name) => `${folder}/${name}`);
  return [...(await lockedOverrides(workspace.path)), ...below.sort()];
}

async function secretFolder({
  path,
  config,
}: Pick<Workspace, 'path' | 'config'>): Promise<{ folder: string; names: string[] }> {
  const folder = `${config.artifactsroot}/secrets`;
  const inside = (await containedPath(path, folder)) !== null;
  return { folder, names: inside ? await filesBelow(join(path, folder)) : [] };
}

/** `x.age` for which there is no `x`. */
function lockedOf(names: readonly string[]): string[] {
  const present = new Set(names);
  return names.filter((name) => name.endsWith(ENCRYPTED) && !present.has(name.slice(0, -ENCRYPTED.length)));
}

async function lockedOverrides(path: string): Promise<string[]> {
  const [plain, locked] = await Promise.all(
    ['secrets.poly', 'secrets.poly.age'].map((name) => exists(join(path, name))),
  );
  return locked && !plain ? ['secrets.poly.age'] : [];
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

export async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  const waiting = [''];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const entry of await readdir(join(folder, next), { withFileTypes: true })) {
      const name = next === '' ? entry.name : `${next}/${entry.name}`;
      if (entry.isDirectory()) waiting.push(name);
      else if (entry.isFile() && files.length < MAX_FILES) files.push(name);
    }
  }
  return files.sort();
}
