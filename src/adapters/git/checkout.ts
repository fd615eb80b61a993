import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { withPrivateView } from './private-view.ts';
import type { Repository } from './repository.ts';
import { runGit, type Variables } from './run-git.ts';

interface Checkout {
  folder: string;
  commit: string;
  env: Variables;
  timeout_ms: number;
}

/** Writes what a commit has below a folder to a folder of ours, without filters and hooks; the repository is only read. */
export async function checkedOut<T>(
  repository: Repository,
  { folder, commit, env, timeout_ms }: Checkout,
  use: (view: string) => Promise<T>,
): Promise<T | null> {
  // From a record, which may be of another ledger: never an option or an expression for git.
  if (!/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(commit)) return null;
  const view = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-mcp-checkout-')));
  try {
    const tree = `${commit}:${relative(repository.top, folder)}`;
    const done = await withPrivateView(repository, { commit, env, timeout_ms }, async (own) => {
      const there = { ...own, GIT_WORK_TREE: view, GIT_INDEX_FILE: join(own['GIT_DIR']!, 'index') };
      const ask = async (...args: string[]): Promise<boolean> =>
        (await runGit({ cwd: view, args, env: there, timeout_ms })).outcome === 'done';
      return (await ask('read-tree', tree)) && (await ask('checkout-index', '--all', '--quiet'));
    });
    return done ? await use(view) : null;
  } finally {
    await rm(view, { recursive: true, force: true });
  }
}
