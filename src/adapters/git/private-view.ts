import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Repository } from './repository.ts';
import { runGit, type Variables } from './run-git.ts';

/** Settings that change how files are compared, and whose values are words: nothing in them can be executed. */
const HARMLESS = ['core.autocrlf', 'core.eol', 'core.filemode', 'core.ignorecase', 'core.precomposeunicode', 'core.symlinks', 'extensions.objectformat']; // prettier-ignore

/**
 * Uses a repository without its configuration: git is given a folder of ours instead of `.git`, with the objects
 * and the index of the real one. Filters, hooks, monitors, remotes and whatever else a configuration can name as a
 * program are not there, so that attributes of files cannot lead to them either, not even while somebody writes to
 * the configuration. Files that a filter changes (LFS) count as changed once git has to look into them.
 */
export async function withPrivateView<T>(
  { gitDir, commonDir, top }: Repository,
  { commit, env, timeout_ms }: { commit: string | null; env: Variables; timeout_ms: number },
  use: (env: Variables) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'polycrate-mcp-git-'));
  try {
    const config = await harmlessConfig(commonDir, { env, timeout_ms });
    await Promise.all([
      mkdir(join(folder, 'refs')),
      mkdir(join(folder, 'info')),
      writeFile(join(folder, 'HEAD'), commit === null ? 'ref: refs/heads/unborn\n' : `${commit}\n`),
      writeFile(join(folder, 'config'), config),
    ]);
    // What this clone ignores beside its .gitignore files.
    await symlink(join(commonDir, 'info', 'exclude'), join(folder, 'info', 'exclude'));
    return await use({
      ...env,
      GIT_DIR: folder,
      GIT_WORK_TREE: top,
      GIT_INDEX_FILE: join(gitDir, 'index'),
      GIT_OBJECT_DIRECTORY: join(commonDir, 'objects'),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function harmlessConfig(
  commonDir: string,
  { env, timeout_ms }: { env: Variables; timeout_ms: number },
): Promise<string> {
  const wanted = `^(${HARMLESS.map((name) => name.replace('.', '\\.')).join('|')})$`;
  const args = ['config', '--file', join(commonDir, 'config'), '--no-includes', '-z', '--get-regexp', wanted];
  const answer = await runGit({ cwd: commonDir, args, env, timeout_ms });
  const lines = ['[core]', 'bare = false'];
  const values = new Map<string, string>();
  for (const entry of answer.outcome === 'done' ? answer.stdout.split('\0') : []) {
    const [name = '', value = 'true'] = entry.split('\n');
    if (/^[a-z0-9]+$/.test(value)) values.set(name, value);
  }
  const format = values.get('extensions.objectformat');
  lines.push(`repositoryformatversion = ${format === undefined ? 0 : 1}`);
  for (const [name, value] of values) {
    if (name.startsWith('core.')) lines.push(`${name.slice('core.'.length)} = ${value}`);
  }
  if (format !== undefined) lines.push('[extensions]', `objectformat = ${format}`);
  return `${lines.join('\n')}\n`;
}
