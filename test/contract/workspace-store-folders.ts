import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createWorkspaceFiles } from '../../src/adapters/workspace-files/index.ts';
import type { WorkspaceStore } from '../../src/workspaces/workspace-store.ts';

/** A folder of workspaces that a test may do anything to. */
export interface Folder {
  root: string;
  write(relative: string, content: string | Uint8Array): Promise<void>;
  path(relative: string): string;
  /** A store whose only root is the folder. */
  store(environmentsFile?: string): WorkspaceStore;
  remove(): Promise<void>;
}

const FIXTURES = join(import.meta.dirname, '../fixtures/workspaces');

export async function temporaryFolder(options: { fixtures: boolean }): Promise<Folder> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'workspaces-')));
  if (options.fixtures) await cp(FIXTURES, root, { recursive: true });
  const path = (relative: string): string => join(root, relative);
  return {
    root,
    path,
    write: async (relative, content) => {
      await mkdir(dirname(path(relative)), { recursive: true });
      await writeFile(path(relative), content);
    },
    store: (environmentsFile) => storeOf([{ path: root, named: true }], environmentsFile),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

export function storeOf(
  roots: { path: string; named: boolean }[],
  environmentsFile: string | null = null,
): WorkspaceStore {
  return createWorkspaceFiles({ roots, environmentsFile, log: () => undefined });
}
