import { createHash } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import type { CliLogFolder, CliLogs } from '../../history/cli-logs.ts';
import { codeOf } from '../../shared/errors.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { cliLogThread } from './cli-log-thread.ts';

/** `YYYY/MM/DD`. */
const DEPTH = 3;
const PART = /^\d{4}(-\d{2}-\d{2})?$|^\d{2}$/;

/** `.logs` in both of its layouts: `YYYY/MM/DD/ID.yml` and `YYYY-MM-DD/ID.yml`; `worker` is the script of a thread. */
export function createCliLogs({ worker }: { worker: URL }): CliLogs {
  const read = cliLogThread(worker);
  return {
    async folders(workspace) {
      const root = rootOf(workspace);
      return root === null ? [] : await foldersBelow(workspace, root);
    },
    read: (workspace, file) => read(join(workspace.path, file)),
  };
}

/** Below the workspace, or nothing: a path that leaves it is not followed. */
function rootOf({ config }: Workspace): string | null {
  const root = normalize(config.logging?.path ?? config.logsroot);
  return root.startsWith('..') || root.startsWith('/') ? null : root.replace(/\/$/, '');
}

async function foldersBelow(workspace: Workspace, root: string): Promise<CliLogFolder[]> {
  const found: CliLogFolder[] = [];
  let level = [root];
  for (let depth = 0; depth <= DEPTH; depth += 1) {
    const next: string[] = [];
    for (const folder of level) {
      const entries = await list(join(workspace.path, folder));
      for (const entry of entries) {
        if (entry.isDirectory() && PART.test(entry.name)) next.push(`${folder}/${entry.name}`);
      }
      const files = entries.filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name)).map(({ name }) => `${folder}/${name}`);
      if (files.length > 0 && depth > 0) found.push({ name: folder, files, state: await stateOf(workspace, files) });
    }
    level = next;
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
} // prettier-ignore

async function list(path: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    // A workspace without logs, and a folder that went away meanwhile.
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return [];
    throw error;
  }
}

async function stateOf({ path }: Workspace, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) {
    const { mtimeMs, size } = await lstat(join(path, file)).catch(() => ({ mtimeMs: 0, size: -1 }));
    hash.update(`${file} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex').slice(0, 32);
}
