import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '../../shared/errors.ts';
import type { Detacher } from '../../runs/supervision.ts';

/** What a detached supervisor prints when it holds its leases. */
export const TAKEN = 'taken\n';

interface DetacherOptions {
  /** This program's entry file. */
  script: string;
  /** The flags this process was started with, so that the other one has the same settings. */
  flags: readonly string[];
}

/** Starts `supervise` in a session of its own. What it is given goes over its stdin: no secrets in arguments. */
export function createDetacher({ script, flags }: DetacherOptions): Detacher {
  return {
    async detach(handovers) {
      const child = spawn(process.execPath, [script, 'supervise', ...flags], {
        detached: true,
        stdio: ['pipe', 'pipe', 'ignore'],
        cwd: '/',
      });
      const spawned = once(child, 'spawn');
      child.stdin.on('error', () => undefined);
      await spawned;
      child.stdin.end(JSON.stringify(handovers));
      await taken(child);
      child.stdout.destroy();
      child.unref();
    },
  };
}

async function taken(child: ChildProcess): Promise<void> {
  let printed = '';
  for await (const chunk of child.stdout!) {
    printed += String(chunk);
    if (printed.includes(TAKEN)) return;
  }
  throw new AppError('launch_failed', 'the supervising process ended before it took the run');
}
