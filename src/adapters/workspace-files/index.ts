import type { Problem } from '../../blocks/block.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { WorkspaceStore } from '../../workspaces/workspace-store.ts';
import { addressOf, type Workspace } from '../../workspaces/workspace.ts';
import { readEnvironments } from './environments.ts';
import { discover, type Root } from './discover.ts';
import { createFileCache } from './file-cache.ts';
import { inspectBlock } from './inspect.ts';
import { createLimit } from './limit.ts';
import { loadWorkspace, MAX_FILE_BYTES, type Store } from './load.ts';
import { secretContents } from './secret-contents.ts';
import { createWitnesses, type Witnesses } from './witnesses.ts';
import { WORKSPACE_FILE } from './workspace-file.ts';

const CONCURRENCY = 32;
/** Keeps the number of open promises small when there are hundreds of workspaces. */
const WORKSPACES_AT_ONCE = 8;

export interface WorkspaceFilesOptions {
  /** Workspaces or folders of workspaces, absolute. */
  roots: readonly Root[];
  /** YAML file with the operator's map of `organization/name` to environment; null: none configured. */
  environmentsFile: string | null;
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
  };
  const limit = createLimit(CONCURRENCY);
  let last: { workspaces: readonly Workspace[]; witnesses: Witnesses } | null = null;

  const scanAll = async (witnesses: Witnesses): Promise<readonly Workspace[]> => {
    const scan = { limit, witnesses };
    const { workspaces, problems } = await discover(options.roots, scan);
    for (const problem of problems) options.log('debug', problem.message, { path: problem.file });
    const few = createLimit(WORKSPACES_AT_ONCE);
    const loaded = await Promise.all(
      workspaces.map((found) => few(() => loadWorkspace(found, { ...store, scan }))),
    );
    store.cache.prune();
    store.parsed.clear();
    forgetOthers(store.made, workspaces);
    return markTwins(loaded).sort(byAddress);
  };

  return {
    list: async () => {
      if (environmentsFile !== null) environments ??= await readEnvironments(environmentsFile);
      if (last?.witnesses.unchanged()) return last.workspaces;
      const witnesses = createWitnesses(clock);
      const workspaces = await scanAll(witnesses);
      last = { workspaces, witnesses };
      return workspaces;
    },
    problems: async () =>
      (await discover(options.roots, { limit, witnesses: createWitnesses(clock) })).problems,
    inspect: (workspace, block) => inspectBlock(workspace, block),
    secretFiles: (workspace) => secretContents(workspace),
  };
}

function forgetOthers(made: Store['made'], found: readonly { path: string }[]): void {
  const paths = new Set(found.map(({ path }) => path));
  for (const path of made.keys()) if (!paths.has(path)) made.delete(path);
}

/** Two folders with one address cannot be told apart in a record: both say so, and neither can be named. */
function markTwins(workspaces: readonly Workspace[]): Workspace[] {
  const paths = new Map<string, string[]>();
  for (const workspace of workspaces) {
    const address = addressOf(workspace);
    paths.set(address, [...(paths.get(address) ?? []), workspace.path]);
  }
  return workspaces.map((workspace) => {
    const others = (paths.get(addressOf(workspace)) ?? []).filter((path) => path !== workspace.path);
    if (others.length === 0) return workspace;
    const message = `${addressOf(workspace)} is also the address of ${others.join(', ')}`;
    const problem: Problem = { severity: 'error', file: WORKSPACE_FILE, line: null, message };
    return { ...workspace, problems: [problem, ...workspace.problems] };
  });
}

function byAddress(a: Workspace, b: Workspace): number {
  const [left, right] = [addressOf(a), addressOf(b)];
  if (left !== right) return left < right ? -1 : 1;
  return a.path < b.path ? -1 : 1;
}
