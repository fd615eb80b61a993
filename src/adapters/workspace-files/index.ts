import { basename } from 'node:path';
import type { Problem } from '../../blocks/block.ts';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { sha256 } from '../../shared/json.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import { assembleWorkspace, type WorkspaceParts } from '../../workspaces/assemble.ts';
import { unreadableWorkspace, type WorkspaceDeclaration } from '../../workspaces/declaration.ts';
import type { WorkspaceStore } from '../../workspaces/workspace-store.ts';
import { addressOf, type Workspace } from '../../workspaces/workspace.ts';
import { type BlockFile, readBlockFile } from './block-file.ts';
import { containedPath } from './contained.ts';
import { discover, type Root } from './discover.ts';
import { createFileCache, type FileCache } from './file-cache.ts';
import { inspectBlock } from './inspect.ts';
import { createLimit, type Limit } from './limit.ts';
import type { ReadResult } from './open-file.ts';
import { readYaml } from './read-yaml.ts';
import { BLOCK_FILE, findBlockFiles } from './walk.ts';
import { readWorkspaceFile, WORKSPACE_FILE } from './workspace-file.ts';
import type { YamlFile } from './yaml-nodes.ts';

/** A definition larger than this is refused before it is parsed. */
const MAX_FILE_BYTES = 1024 * 1024;
const MAX_PARSED = 1000;
const CONCURRENCY = 32;
/** Keeps the number of open promises small when there are hundreds of workspaces. */
const WORKSPACES_AT_ONCE = 8;

export interface WorkspaceFilesOptions {
  /** Workspaces or folders of workspaces, absolute. */
  roots: readonly Root[];
  /** The operator's map of `organization/name` to environment; null: none configured. */
  environments: ReadonlyMap<string, string> | null;
  clock?: Pick<Clock, 'now'>;
  log: Log;
}

interface Store extends Pick<WorkspaceFilesOptions, 'environments' | 'log'> {
  cache: FileCache;
  limit: Limit;
  /** Files without problems by content, during a scan. */
  parsed: Map<string, YamlFile>;
  /** The last result per workspace, with what it was made of. */
  made: Map<string, { of: readonly unknown[]; workspace: Workspace }>;
}

/** Workspaces as folders on disk. Nothing is ever written. */
export function createWorkspaceFiles(options: WorkspaceFilesOptions): WorkspaceStore {
  const clock = options.clock ?? { now: Date.now };
  const store: Store = {
    environments: options.environments,
    log: options.log,
    cache: createFileCache({ max_bytes: MAX_FILE_BYTES, clock }),
    limit: createLimit(CONCURRENCY),
    parsed: new Map(),
    made: new Map(),
  };
  return {
    list: async () => {
      const { workspaces, problems } = await discover(options.roots, store.limit);
      for (const problem of problems) options.log('warn', problem.message, { path: problem.file });
      const few = createLimit(WORKSPACES_AT_ONCE);
      const loaded = await Promise.all(workspaces.map((found) => few(() => loadWorkspace(found, store))));
      store.cache.prune();
      store.parsed.clear();
      forgetOthers(store.made, workspaces);
      return markTwins(loaded).sort(byAddress);
    },
    problems: async () => (await discover(options.roots, store.limit)).problems,
    inspect: (workspace, block) => inspectBlock(workspace, block),
  };
}

function forgetOthers(made: Store['made'], found: readonly { path: string }[]): void {
  const paths = new Set(found.map(({ path }) => path));
  for (const path of made.keys()) if (!paths.has(path)) made.delete(path);
}

async function loadWorkspace(found: { path: string; runnable: boolean }, store: Store): Promise<Workspace> {
  const { path, runnable } = found;
  const declared = await readDeclaration(path, store);
  const { files, problems } = await readBlockFiles(path, declared.config.blocksroot, store);
  const of = [declared, runnable, JSON.stringify(problems), ...files];
  const last = store.made.get(path);
  if (last && last.of.length === of.length && of.every((part, index) => part === last.of[index])) {
    return last.workspace;
  }
  const workspace = assembleWorkspace({
    path,
    folder: basename(path),
    runnable,
    declared,
    blocks: files.flatMap((file) => (file.block ? [file.block] : [])),
    problems: [...problems, ...files.flatMap((file) => file.problems)],
    configured: configuredIn(store.environments),
  });
  store.made.set(path, { of, workspace });
  return workspace;
}

function configuredIn(environments: ReadonlyMap<string, string> | null): WorkspaceParts['configured'] {
  return (identity) => environments?.get(addressOf(identity)) ?? null;
}

function readDeclaration(path: string, store: Store): Promise<WorkspaceDeclaration> {
  const failed = (message: string): WorkspaceDeclaration =>
    unreadableWorkspace([{ severity: 'error', file: WORKSPACE_FILE, line: null, message }]);
  const task = (): Promise<WorkspaceDeclaration> =>
    store.cache.get({ workspace: path, relative: WORKSPACE_FILE }, async (result) =>
      readWorkspaceFile(await yamlOf(result, { file: WORKSPACE_FILE, store })),
    );
  return store.limit(task).catch((error: unknown) => failed(unreadable(error)));
}

async function readBlockFiles(
  path: string,
  blocksroot: string,
  store: Store,
): Promise<{ files: BlockFile[]; problems: Problem[] }> {
  try {
    await containedPath(path, blocksroot);
  } catch (error) {
    const message = error instanceof AppError ? error.message : unreadable(error);
    return { files: [], problems: [{ severity: 'error', file: WORKSPACE_FILE, line: null, message }] };
  }
  const { dirs, problems } = await findBlockFiles(path, blocksroot, store.limit);
  const files = await Promise.all(dirs.map((dir) => readBlockAt(path, dir, store)));
  return { files: files.filter((file) => file !== null), problems };
}

/** Null: it vanished between listing and reading. */
function readBlockAt(path: string, dir: string, store: Store): Promise<BlockFile | null> {
  const file = `${dir}/${BLOCK_FILE}`;
  const task = (): Promise<BlockFile> =>
    store.cache.get({ workspace: path, relative: file }, async (result) =>
      readBlockFile(await yamlOf(result, { file, store }), { file, dir }),
    );
  return store.limit(task).catch((error: unknown): BlockFile | null => {
    if (codeOf(error) === 'ENOENT') return null;
    return { block: null, problems: [{ severity: 'error', file, line: null, message: unreadable(error) }] };
  });
}

/** One registry block often lies in many workspaces: equal content is parsed once per scan. */
async function yamlOf(
  result: ReadResult,
  { file, store }: { file: string; store: Store },
): Promise<YamlFile> {
  if (result.outcome !== 'read') return notRead(result.outcome, file);
  const digest = sha256(result.bytes);
  const known = store.parsed.get(digest);
  if (known) return known;
  const yaml = await readYaml(result.bytes, file);
  if (yaml.problems.length === 0 && store.parsed.size < MAX_PARSED) store.parsed.set(digest, yaml);
  return yaml;
}

function notRead(outcome: 'too_large' | 'not_a_file', file: string): YamlFile {
  const message =
    outcome === 'too_large'
      ? `is larger than ${MAX_FILE_BYTES / 1024} KiB and is not read`
      : 'is not a regular file, and links are not followed';
  return { root: null, problems: [{ severity: 'error', file, line: null, message }] };
}

function unreadable(error: unknown): string {
  return `cannot be read (${codeOf(error) ?? messageOf(error)})`;
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
