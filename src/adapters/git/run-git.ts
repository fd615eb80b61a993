import { execFile } from 'node:child_process';
import { codeOf } from '../../shared/errors.ts';

/** PATH and HOME are all that git gets of our environment: `GIT_DIR` and its kin would name another repository. */
export type Variables = Readonly<Record<string, string>>;

export interface GitCall {
  cwd: string;
  args: readonly string[];
  env: Variables;
  timeout_ms: number;
}

export type GitAnswer =
  | { outcome: 'done'; stdout: string }
  /** More output than was to be read; what was read is a part of it. */
  | { outcome: 'too_much' }
  | { outcome: 'failed' | 'missing' | 'timeout'; says: string };

const MAX_BYTES = 16 * 1024 * 1024;

/** No configuration but the repository's own, no locks, no questions, nothing fetched. */
const QUIET: Variables = {
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_NO_LAZY_FETCH: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_TERMINAL_PROMPT: '0',
};

// For the few calls that see the repository's own configuration as well.
const SAFE = ['--no-pager', '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];

/** Never throws: how it went is the answer. */
export function runGit({ cwd, args, env, timeout_ms }: GitCall): Promise<GitAnswer> {
  const options = { cwd, env: { ...env, ...QUIET }, timeout: timeout_ms, maxBuffer: MAX_BYTES, killSignal: 'SIGKILL' } as const; // prettier-ignore
  return new Promise((resolve) => {
    execFile('git', [...SAFE, ...args], options, (error, stdout, stderr) => {
      if (!error) return resolve({ outcome: 'done', stdout });
      const code = codeOf(error);
      if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return resolve({ outcome: 'too_much' });
      const outcome = code === 'ENOENT' ? 'missing' : error.killed ? 'timeout' : 'failed';
      resolve({ outcome, says: stderr.trim() || error.message });
    });
  });
}
