import { parentPort, workerData } from 'node:worker_threads';
import { openAge } from './age.ts';

/** Derives keys of passphrases, about a second each, away from the thread that answers calls. */
const { files, key } = workerData as { files: Uint8Array[]; key: string };
parentPort?.postMessage(await openAge(files, key));
