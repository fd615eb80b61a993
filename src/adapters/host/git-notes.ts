import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { AnchorPlace } from '../../ledger/anchor.ts';
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { AppError, codeOf } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/json.ts';

const run = promisify(execFile);

/** The environment of git: nothing else, for `GIT_DIR` and its kin would name another repository. */
export type Variables = Readonly<Record<string, string>>;

const REF = 'refs/notes/polycrate-mcp';
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 64 * 1024 * 1024;

// Neither hooks nor any other program that the repository's configuration names.
const SAFE = [
  '-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'commit.gpgSign=false',
  '-c', 'user.name=polycrate-mcp', '-c', 'user.email=polycrate-mcp@localhost',
]; // prettier-ignore

/**
 * Checkpoints as lines of notes on the commits that were current. `git log --notes=polycrate-mcp` shows them; whoever
 * gets the ref pushed has them out of reach of this machine. Earlier states of the notes stay in the ref's history.
 */
export function gitNotes(repository: string, env: Variables): AnchorPlace {
  const git = (...args: string[]): Promise<string> => gitIn(repository, { args, env });
  return {
    name: `git:${repository}`,
    async read(ledger) {
      const notes = await git('notes', `--ref=${REF}`, 'list');
      const ids = notes.split('\n').flatMap((line) => (line === '' ? [] : [line.split(' ')[0]!]));
      let newest: Checkpoint | null = null;
      for (const id of ids) {
        for (const checkpoint of checkpointsIn(await git('cat-file', 'blob', id))) {
          if (checkpoint.ledger === ledger && checkpoint.size >= (newest?.size ?? 0)) newest = checkpoint;
        }
      }
      return newest;
    },
    async write(checkpoint) {
      await git('notes', `--ref=${REF}`, 'append', '-m', canonicalJson(checkpoint), 'HEAD');
    },
  };
}

/** People may write notes there too: other lines are not ours. */
function checkpointsIn(note: string): Checkpoint[] {
  return note.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      return [parseCheckpoint(line)];
    } catch {
      return [];
    }
  });
}

async function gitIn(
  repository: string,
  { args, env }: { args: readonly string[]; env: Variables },
): Promise<string> {
  try {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_BYTES, env: { ...env, LC_ALL: 'C' } };
    const { stdout } = await run('git', ['-C', repository, ...SAFE, ...args], options);
    return stdout;
  } catch (error) {
    const missing = codeOf(error) === 'ENOENT';
    const { stderr = '' } = error as { stderr?: string };
    const why = missing ? 'there is no git on this machine' : stderr.trim() || 'git failed';
    throw new AppError('configuration', `${repository} cannot hold anchors: ${why}`, { cause: error });
  }
}
