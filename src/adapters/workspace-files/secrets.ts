import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { containedPath } from './contained.ts';

const MAX_FILES = 5000;
const ENCRYPTED = '.age';

export interface SecretFiles {
  secrets: Record<string, string>;
  encrypted: string[];
}

/**
 * Names of the files below `artifacts/secrets`, never their contents. A block's own sub-folder wins over files
 * for all; other sub-folders keep their path as name. Links are left out.
 */
export async function secretsOf({ path, config }: Workspace, block: { name: string }): Promise<SecretFiles> {
  const folder = `${config.artifactsroot}/secrets`;
  const inside = (await containedPath(path, folder)) !== null;
  const names = inside ? await filesBelow(join(path, folder)) : [];
  const plain = names.filter((name) => !name.endsWith(ENCRYPTED));
  const own = `${block.name}/`;
  const shared = plain.filter((name) => !name.startsWith(own)).map((name) => [name, name] as const);
  const mine = plain
    .filter((name) => name.startsWith(own))
    .map((name) => [name.slice(own.length), name] as const);
  const secrets = [...shared, ...mine].map(([name, file]) => [name, `${folder}/${file}`] as const);
  const locked = lockedOf(names).map((name) => `${folder}/${name}`);
  return {
    secrets: Object.fromEntries(secrets),
    encrypted: [...locked, ...(await lockedOverrides(path))].sort(),
  };
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
