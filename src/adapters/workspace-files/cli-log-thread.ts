import { Worker } from 'node:worker_threads';
import type { CliLog } from '../../history/cli-logs.ts';
import { codeOf } from '../../shared/errors.ts';

export interface LogQuestion {
  id: number;
  path: string;
}

export interface LogAnswer {
  id: number;
  log: CliLog | { broken: string };
}

export type ReadLog = (path: string) => Promise<CliLog | { broken: string }>;

/** What one file may take; the largest that are read need about half of it. */
const MOST_MEGABYTES = 1024;
/** A thread without work is ended: it keeps the memory of the largest file that it read. */
const IDLE_MS = 2_000;

interface Asked {
  answer(log: LogAnswer['log']): void;
  fail(error: unknown): void;
}

/** Reads logs in a thread that lives as long as there is something to read. A file that is too much for it is broken. */
export function cliLogThread(script: URL): ReadLog {
  let worker: Worker | null = null;
  let idle: NodeJS.Timeout | undefined;
  let last = 0;
  const asked = new Map<number, Asked>();

  const start = (): Worker => {
    const made = new Worker(script, { resourceLimits: { maxOldGenerationSizeMb: MOST_MEGABYTES } });
    made.on('message', ({ id, log }: LogAnswer) => {
      asked.get(id)?.answer(log);
      asked.delete(id);
      if (asked.size > 0) return;
      made.unref();
      idle = setTimeout(() => end(made), IDLE_MS).unref();
    });
    made.on('error', (error) => lost(made, error));
    made.on('exit', () => lost(made, new Error('the thread that reads logs of the CLI ended')));
    return made;
  };
  const end = (one: Worker): void => {
    if (worker === one) worker = null;
    void one.terminate();
  };
  const lost = (one: Worker, error: unknown): void => {
    if (worker !== one) return;
    worker = null;
    const [first, ...others] = asked.values();
    asked.clear();
    // It reads in order, so the first is what it could not take.
    if (codeOf(error) === 'ERR_WORKER_OUT_OF_MEMORY') first?.answer({ broken: `takes more than ${MOST_MEGABYTES} MiB to read` });
    else first?.fail(error);
    for (const other of others) other.fail(error);
  };

  return (path) =>
    new Promise((answer, fail) => {
      clearTimeout(idle);
      worker ??= start();
      worker.ref();
      const id = ++last;
      asked.set(id, { answer, fail });
      worker.postMessage({ id, path } satisfies LogQuestion);
    });
} // prettier-ignore
