import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Log } from '../../shared/ports.ts';
import type { Git, GitHead } from '../../workspaces/git-state.ts';
import { createHeadCache } from './head-cache.ts';
import { checkedOut } from './checkout.ts';
import { withPrivateView } from './private-view.ts';
import { findRepository, type Repository } from './repository.ts';
import { runGit, type Variables } from './run-git.ts';

/** A plan waits no longer for it: whether files differ is then not known. */
const TIMEOUT_MS = 2_000;
const CHECKOUT_MS = 60_000;
/** Submodules in submodules are looked into this deep. */
const MAX_DEPTH = 3;

export interface GitOptions {
  /** PATH and HOME for git. */
  env: Variables;
  timeoutMs?: number;
  clock: Pick<Clock, 'now'>;
  log: Log;
}

export function createGit({ env: variables, clock, log, timeoutMs = TIMEOUT_MS }: GitOptions): Git {
  const env = pick(variables, ['PATH', 'HOME']);
  const heads = createHeadCache(clock);
  let told = false;

  const headOf = (repository: Repository): Promise<GitHead | null> =>
    heads.get(repository, async () => {
      const answer = await askHead(repository, { env, timeout_ms: timeoutMs });
      if (answer === 'missing' && !told) log('info', 'there is no git on this machine: runs name no commit');
      told ||= answer === 'missing';
      return answer === 'missing' ? null : answer;
    });

  const isDirty = async (
    repository: Repository,
    folder: string,
    { commit, depth }: { commit: string | null; depth: number },
  ): Promise<boolean | null> => {
    const options = { env, timeout_ms: timeoutMs };
    const own = await withPrivateView(repository, { ...options, commit }, (view) =>
      look(repository, folder, { env: view, timeout_ms: timeoutMs }),
    );
    if (own.dirty !== false) return own.dirty;
    for (const path of own.submodules) {
      if (depth === MAX_DEPTH) return null;
      const below = await findRepository(path);
      // Not checked out: there is nothing that could differ.
      if (!below || below.top !== path) continue;
      const head = await headOf(below);
      const dirty = head && (await isDirty(below, path, { commit: head.commit, depth: depth + 1 }));
      if (dirty !== false) return dirty;
    }
    return false;
  };

  return {
    async head(folder) {
      const repository = await findRepository(folder);
      return repository && (await headOf(repository));
    },
    async state(folder) {
      const repository = await findRepository(folder);
      const head = repository && (await headOf(repository));
      if (!repository || !head) return null;
      return { ...head, dirty: await isDirty(repository, folder, { commit: head.commit, depth: 1 }) };
    },
    async checkedOut(folder, commit, use) {
      const repository = await findRepository(folder);
      return repository && checkedOut(repository, { folder, commit, env, timeout_ms: CHECKOUT_MS }, use);
    },
  };
}

interface Asking {
  env: Variables;
  timeout_ms: number;
}

/** Reads the real `.git`, whose configuration names nothing that these two commands would execute. */
async function askHead({ gitDir, top }: Repository, asking: Asking): Promise<GitHead | null | 'missing'> {
  const env = { ...asking.env, GIT_DIR: gitDir };
  const ask = (...args: string[]): ReturnType<typeof runGit> => runGit({ ...asking, cwd: top, env, args });
  const [commit, branch] = await Promise.all([
    ask('rev-parse', '--verify', '--quiet', 'HEAD^{commit}'),
    ask('symbolic-ref', '--quiet', 'HEAD'),
  ]);
  if (commit.outcome === 'missing') return 'missing';
  const name = branch.outcome === 'done' ? branch.stdout.trim() : null;
  if (commit.outcome !== 'done' && name === null) return null;
  return {
    commit: commit.outcome === 'done' ? commit.stdout.trim() : null,
    branch: name && name.replace(/^refs\/heads\//, ''),
  };
}

/**
 * What differs below a folder. Work trees of submodules are left out, for git would start itself in there, with
 * the submodule's configuration.
 */
async function look(
  { top }: Repository,
  folder: string,
  asking: Asking,
): Promise<{ dirty: boolean | null; submodules: string[] }> {
  const ask = (...args: string[]): ReturnType<typeof runGit> => runGit({ ...asking, cwd: folder, args });
  const status = await ask('status', '--porcelain', '-z', '--ignore-submodules=dirty', '--', '.');
  if (status.outcome === 'too_much') return { dirty: true, submodules: [] };
  if (status.outcome !== 'done') return { dirty: null, submodules: [] };
  if (status.stdout !== '') return { dirty: true, submodules: [] };
  const some = await stat(join(top, '.gitmodules')).catch(() => null);
  if (!some) return { dirty: false, submodules: [] };
  const files = await ask('ls-files', '--stage', '-z', '--full-name', '--', '.');
  if (files.outcome !== 'done') return { dirty: null, submodules: [] };
  const links = files.stdout.split('\0').filter((line) => line.startsWith('160000 '));
  return { dirty: false, submodules: links.map((line) => join(top, line.slice(line.indexOf('\t') + 1))) };
}

function pick(env: Variables, names: readonly string[]): Variables {
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}
