import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Opener } from './age.ts';

/** Opens files in a thread that ends with its task; the key lives no longer there. */
export function ageThread(script: URL): Opener {
  return async (files, key) => {
    const worker = new Worker(script, { workerData: { files, key } });
    worker.unref();
    const [opened] = (await once(worker, 'message')) as [(Uint8Array | null)[]];
    return opened;
  };
}
