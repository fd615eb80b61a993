import { basename } from 'node:path';
import type { Clock, Log } from '../../shared/ports.ts';
import type { WorkspaceStore } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { openAge, remembering } from './age.ts';
import { buildFileOf } from './build-context.ts';
import { ageThread } from './age-thread.ts';
import { readEnvironments } from './environments.ts';
import { discover, type Root } from './discover.ts';
import { documentsOf } from './documents.ts';
import { createFileCache } from './file-cache.ts';
import { inspectBlock } from './inspect.ts';
import { createLimit } from './limit.ts';
import { createKeeper, listFolder } from './keeper.ts';
import { loadWorkspace, MAX_FILE_BYTES, type Store } from './load.ts';
import { playsOf } from './playbook.ts';
import { secretContents } from './secret-contents.ts';
import { NOTHING_UNLOCKED, type Unlocked, unlockWorkspace } from './unlock.ts';
import { createWitnesses } from './witnesses.ts';

const CONCURRENCY = 32;

export interface WorkspaceFilesOptions {
  /** Workspaces or folders of workspaces, absolute. */
  roots: readonly Root[];
  /** YAML file with the operator's map of `organization/name` to environment; null: none configured. */
  environmentsFile: string | null;
  /** Opens encrypted files: an age identity, or a passphrase; null: none is configured. */
  encryptionKey?: string | null;
  /** Script of a thread that opens encrypted files; without it they are opened here. */
  ageWorker?: URL;
  /** Script of threads that read many workspaces; without it they are read here. */
  scanWorker?: URL;
  clock?: Pick<Clock, 'now'>;
  log: Log;
}

/** Workspaces as folders on disk. Nothing is ever written. */
export function createWorkspaceFiles(options: WorkspaceFilesOptions): WorkspaceStore {
  const clock = options.clock ?? { now: Date.now };
  const { environmentsFile } = options;
  // Part of the configuration, so read once; a file that cannot be read is tried again.
  let environments: ReadonlyMap<string, string> | null = null;
  const store: Store = {
    environments: () => environments,
    cache: createFileCache({ max_bytes: MAX_FILE_BYTES, clock }),
    parsed: new Map(),
    made: new Map(),
    parts: new WeakMap(),
  };
  const limit = createLimit(CONCURRENCY);
  const open = remembering(options.ageWorker ? ageThread(options.ageWorker) : openAge);
  const unlocked = new WeakMap<Workspace, Unlocked>();
  const views = new WeakMap<Workspace, string>();
  const lightOf = (workspace: Workspace): Unlocked => unlocked.get(workspace) ?? NOTHING_UNLOCKED;
  const keeper = createKeeper({
    store,
    limit,
    clock,
    roots: options.roots,
    worker: options.scanWorker,
    log: options.log,
  });

  return {
    list: async (needed) => {
      if (environmentsFile !== null) environments ??= await readEnvironments(environmentsFile);
      return keeper.list(needed);
    },
    problems: async () =>
      (await discover(options.roots, { limit, entries: listFolder, witnesses: createWitnesses(clock) }))
        .problems,
    inspect: (workspace, block) =>
      inspectBlock(workspace, block, { ...lightOf(workspace), view: views.get(workspace) ?? null }),
    unlock: async (workspace) => {
      const parts = store.parts.get(workspace);
      // One of two twins, or unlocked already.
      if (!parts) return workspace;
      const result = await unlockWorkspace(workspace, parts, { open, key: options.encryptionKey ?? null });
      unlocked.set(result.workspace, result.unlocked);
      return result.workspace;
    },
    dockerfile: buildFileOf,
    plays: async (workspace, block, { playbook, problem }) =>
      playbook === null || problem !== null
        ? { plays: [], unknown: problem }
        : playsOf(views.get(workspace) ?? workspace.path, `${block.dir ?? '.'}/${playbook}`),
    asOf: async (workspace, view) => {
      const scan = { limit, entries: listFolder, witnesses: createWitnesses(clock) };
      const own = {
        ...store,
        cache: createFileCache({ max_bytes: MAX_FILE_BYTES, clock }),
        made: new Map(),
        scan,
      };
      const { path, runnable } = workspace;
      const then = await loadWorkspace({ path: view, runnable }, own);
      const parts = { ...store.parts.get(then)!, path, folder: basename(path) };
      const light = { open, key: options.encryptionKey ?? null };
      const result = await unlockWorkspace({ ...then, path }, parts, light);
      unlocked.set(result.workspace, result.unlocked);
      views.set(result.workspace, view);
      return result.workspace;
    },
    documents: documentsOf,
    secretFiles: (workspace) => secretContents(workspace, lightOf(workspace)),
  };
}
