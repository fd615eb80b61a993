import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Scanned } from './load.ts';
import type { Told } from './witnesses.ts';

/** More threads than this would wait for the disk. */
const MOST_THREADS = 8;

export type ScanAnswer =
  { path: string; scanned: Scanned; told: Told; failed?: never } | { path: string; failed: string };

/** Scans many workspaces on all cores; the threads live no longer than that. Answers come as they are ready. */
export async function scanInThreads(
  script: URL,
  paths: readonly string[],
  onAnswer: (answer: ScanAnswer) => void,
): Promise<void> {
  const waiting = paths.values();
  const width = Math.min(availableParallelism(), MOST_THREADS, paths.length);
  await Promise.all(Array.from({ length: width }, () => oneThread(script, waiting, onAnswer)));
}

function oneThread(
  script: URL,
  waiting: Iterator<string, undefined>,
  onAnswer: (answer: ScanAnswer) => void,
): Promise<void> {
  const worker = new Worker(script);
  const work = new Promise<void>((resolve, reject) => {
    const next = (): void => {
      const { done, value } = waiting.next();
      if (done) resolve();
      else worker.postMessage(value);
    };
    worker.on('message', (answer: ScanAnswer) => {
      next();
      onAnswer(answer);
    });
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('a thread that reads workspaces ended')));
    next();
  });
  return work.finally(() => void worker.terminate());
}
