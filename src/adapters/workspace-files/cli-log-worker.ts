import { parentPort } from 'node:worker_threads';
import { readCliLog } from './cli-log-file.ts';
import type { LogAnswer, LogQuestion } from './cli-log-thread.ts';

/** Reads the CLI's logs, one after the other, away from the thread that answers calls. */
parentPort?.on('message', ({ id, path }: LogQuestion) => {
  const answer: LogAnswer = { id, log: readCliLog(path) };
  parentPort?.postMessage(answer);
});
