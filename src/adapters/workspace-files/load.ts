import { basename } from 'node:path';
import type { Problem } from '../../blocks/block.ts';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { sha256 } from '../../shared/json.ts';
import { assembleWorkspace, type WorkspaceParts } from '../../workspaces/assemble.ts';
import { unreadableWorkspace, type WorkspaceDeclaration } from '../../workspaces/declaration.ts';
import { addressOf, type Workspace } from '../../workspaces/workspace.ts';
import { type BlockFile, readBlockFile } from './block-file.ts';
import { containedPath } from './contained.ts';
import type { FileCache } from './file-cache.ts';
import type { ReadResult } from './open-file.ts';
import type { Scan } from './scan.ts';
import { readYaml } from './read-yaml.ts';
import { BLOCK_FILE, findBlockFiles } from './walk.ts';
import { readWorkspaceFile, WORKSPACE_FILE } from './workspace-file.ts';
import type { YamlFile } from './yaml-nodes.ts';

/** A definition larger than this is refused before it is parsed. */
export const MAX_FILE_BYTES = 1024 * 1024;
const MAX_PARSED = 1000;

/** What scans share. */
export interface Store {
  environments: () => ReadonlyMap<string, string> | null;
  cache: FileCache;
  /** Files without problems by content, during a scan. */
  parsed: Map<string, YamlFile>;
  /** The last result per workspace, with what it was made of. */
  made: Map<string, { of: readonly unknown[]; workspace: Workspace }>;
  /** What a workspace was put together from, to do it again with its secrets. */
  parts: WeakMap<Workspace, WorkspaceParts>;
}

/** What reading files takes. */
export interface Reading extends Pick<Store, 'cache' | 'parsed'> {
  scan: Scan;
}

export interface ScannedStore extends Store {
  scan: Scan;
}

/** Reads one workspace folder; answers the last result itself if nothing it is made of has changed. */
export async function loadWorkspace(
  found: { path: string; runnable: boolean },
  store: ScannedStore,
): Promise<Workspace> {
  return made(found, await scanWorkspace(found.path, store), store);
}

/** What the files of one workspace say, not yet joined. */
export interface Scanned {
  declared: WorkspaceDeclaration;
  files: BlockFile[];
  problems: Problem[];
}

export async function scanWorkspace(path: string, store: Reading): Promise<Scanned> {
  const declared = await readDeclaration(path, store);
  return { declared, ...(await readBlockFiles(path, declared.config.blocksroot, store)) };
}

/** The workspace of what was scanned; the last one itself if that was made of the same. */
export function made(
  { path, runnable }: { path: string; runnable: boolean },
  { declared, files, problems }: Scanned,
  store: Store,
): Workspace {
  const of = [declared, runnable, JSON.stringify(problems), ...files];
  const last = store.made.get(path);
  if (last && last.of.length === of.length && of.every((part, index) => part === last.of[index])) {
    return last.workspace;
  }
  const parts: WorkspaceParts = {
    path,
    folder: basename(path),
    runnable,
    declared,
    secrets: null,
    blocks: files.flatMap((file) => (file.block ? [file.block] : [])),
    problems: [...problems, ...files.flatMap((file) => file.problems)],
    configured: configuredIn(store.environments()),
  };
  const workspace = assembleWorkspace(parts);
  store.parts.set(workspace, parts);
  store.made.set(path, { of, workspace });
  return workspace;
}

function configuredIn(environments: ReadonlyMap<string, string> | null): WorkspaceParts['configured'] {
  return (identity) => environments?.get(addressOf(identity)) ?? null;
}

function readDeclaration(path: string, store: Reading): Promise<WorkspaceDeclaration> {
  const failed = (message: string): WorkspaceDeclaration =>
    unreadableWorkspace([{ severity: 'error', file: WORKSPACE_FILE, line: null, message }]);
  const task = (): Promise<WorkspaceDeclaration> =>
    store.cache.get({ workspace: path, relative: WORKSPACE_FILE }, async (result) =>
      readWorkspaceFile(await yamlOf(result, { file: WORKSPACE_FILE, store })),
    );
  store.scan.witnesses.note(`${path}/${WORKSPACE_FILE}`);
  return store.scan.limit(task).catch((error: unknown) => {
    store.scan.witnesses.doubt();
    return failed(unreadable(error));
  });
}

async function readBlockFiles(
  path: string,
  blocksroot: string,
  store: Reading,
): Promise<{ files: BlockFile[]; problems: Problem[] }> {
  try {
    await containedPath(path, blocksroot);
  } catch (error) {
    store.scan.witnesses.doubt();
    const message = error instanceof AppError ? error.message : unreadable(error);
    return { files: [], problems: [{ severity: 'error', file: WORKSPACE_FILE, line: null, message }] };
  }
  const { dirs, problems } = await findBlockFiles({ workspace: path, start: blocksroot }, store.scan);
  const files = await Promise.all(dirs.map((dir) => readBlockAt(path, dir, store)));
  return { files: files.filter((file) => file !== null), problems };
}

/** Null: it vanished between listing and reading. */
function readBlockAt(path: string, dir: string, store: Reading): Promise<BlockFile | null> {
  const file = `${dir}/${BLOCK_FILE}`;
  const task = (): Promise<BlockFile> =>
    store.cache.get({ workspace: path, relative: file }, async (result) =>
      readBlockFile(await yamlOf(result, { file, store }), { file, dir }),
    );
  store.scan.witnesses.note(`${path}/${file}`);
  return store.scan.limit(task).catch((error: unknown): BlockFile | null => {
    store.scan.witnesses.doubt();
    if (codeOf(error) === 'ENOENT') return null;
    return { block: null, problems: [{ severity: 'error', file, line: null, message: unreadable(error) }] };
  });
}

/** One registry block often lies in many workspaces: equal content is parsed once per scan. */
async function yamlOf(
  result: ReadResult,
  { file, store }: { file: string; store: Pick<Store, 'parsed'> },
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
