import { readdir } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import type { Problem } from '../../blocks/block.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import { addressOf, type Workspace } from '../../workspaces/workspace.ts';
import { discover, type Discovery, type Root } from './discover.ts';
import { createLimit, type Limit } from './limit.ts';
import { loadWorkspace, made, type Store } from './load.ts';
import { scanInThreads } from './scan-threads.ts';
import { createWitnesses, isUnchanged, type Told, type Witnesses } from './witnesses.ts';
import { WORKSPACE_FILE } from './workspace-file.ts';

/** Keeps the number of open promises small when there are hundreds of workspaces. */
const WORKSPACES_AT_ONCE = 8;
/** From so many changed workspaces on, starting threads pays. */
const MANY = 24;
/** After so many workspaces were looked at, others get their turn. */
const LOOKS_AT_ONCE = 25;

export const listFolder = (path: string): Promise<Dirent[]> => readdir(path, { withFileTypes: true });

interface KeeperParts {
  store: Store;
  limit: Limit;
  clock: Pick<Clock, 'now'>;
  roots: readonly Root[];
  worker: URL | undefined;
  log: Log;
}

interface Kept {
  workspace: Workspace;
  told: Told;
}

/** The workspaces as they were last seen, each with what would tell that it changed. */
export function createKeeper(parts: KeeperParts): { list(needed?: string): Promise<readonly Workspace[]> } {
  let found: { discovery: Discovery; witnesses: Witnesses } | null = null;
  let kept = new Map<string, Kept>();
  let last: readonly Workspace[] | null = null;
  const { store, clock } = parts;

  const rediscover = async (): Promise<Discovery> => {
    const witnesses = createWitnesses(clock);
    const discovery = await discover(parts.roots, { limit: parts.limit, entries: listFolder, witnesses });
    for (const problem of discovery.problems) parts.log('debug', problem.message, { path: problem.file });
    found = { discovery, witnesses };
    return discovery;
  };

  return {
    async list(needed) {
      const same = found?.witnesses.unchanged() === true;
      const { workspaces } = same && found ? found.discovery : await rediscover();
      const stale = await staleOf(workspaces, { kept, needed: same ? needed : undefined });
      if (same && stale.length === 0 && last) return last;
      for (const [path, one] of await readAll(stale, parts)) kept.set(path, one);
      const paths = new Set(workspaces.map(({ path }) => path));
      kept = new Map([...kept].filter(([path]) => paths.has(path)));
      for (const path of store.made.keys()) if (!paths.has(path)) store.made.delete(path);
      const all = workspaces.flatMap(({ path }) => kept.get(path)?.workspace ?? []);
      last = markTwins(all).sort(byAddress);
      return last;
    },
  };
}

type Found = Discovery['workspaces'][number];

/** Those that changed since they were read; of several, only those that `needed` may name are asked for. */
async function staleOf(
  workspaces: readonly Found[],
  { kept, needed }: { kept: ReadonlyMap<string, Kept>; needed: string | undefined },
): Promise<Found[]> {
  const stale: Found[] = [];
  let looked = 0;
  for (const one of workspaces) {
    const known = kept.get(one.path);
    if (known && needed !== undefined && !answersTo(known.workspace, needed)) continue;
    if (!known || known.workspace.runnable !== one.runnable || !isUnchanged(known.told)) stale.push(one);
    if (++looked % LOOKS_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return stale;
}

function answersTo(workspace: Workspace, name: string): boolean {
  return workspace.name === name || addressOf(workspace) === name || workspace.alias.includes(name);
}

async function readAll(stale: readonly Found[], parts: KeeperParts): Promise<Map<string, Kept>> {
  const read = new Map<string, Kept>();
  if (parts.worker && stale.length >= MANY) await readInThreads(stale, parts, read);
  const few = createLimit(WORKSPACES_AT_ONCE);
  const rest = stale.filter(({ path }) => !read.has(path));
  await Promise.all(rest.map((one) => few(async () => read.set(one.path, await readHere(one, parts)))));
  parts.store.parsed.clear();
  return read;
}

async function readHere(one: Found, { store, limit, clock }: KeeperParts): Promise<Kept> {
  const witnesses = createWitnesses(clock);
  const scan = { limit, witnesses, entries: listFolder };
  return { workspace: await loadWorkspace(one, { ...store, scan }), told: witnesses.told() };
}

/** What a thread could not read is read here, where it becomes a problem of its workspace. */
async function readInThreads(
  stale: readonly Found[],
  parts: KeeperParts,
  read: Map<string, Kept>,
): Promise<void> {
  const runnable = new Map(stale.map((one) => [one.path, one.runnable]));
  try {
    await scanInThreads(parts.worker as URL, [...runnable.keys()], (answer) => {
      if (answer.failed !== undefined) return;
      const { path, scanned, told } = answer;
      const workspace = made({ path, runnable: runnable.get(path) ?? false }, scanned, parts.store);
      read.set(path, { workspace, told });
    });
  } catch (error) {
    parts.log('warn', 'workspaces are read without threads', { reason: messageOf(error) });
  }
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
