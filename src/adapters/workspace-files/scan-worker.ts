import { readdirSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../shared/errors.ts';
import { readOnce } from './file-cache.ts';
import { createLimit } from './limit.ts';
import { MAX_FILE_BYTES, scanWorkspace } from './load.ts';
import type { ScanAnswer } from './scan-threads.ts';
import { createWitnesses } from './witnesses.ts';
import type { YamlFile } from './yaml-nodes.ts';

/** Scans the workspaces it is told, one after the other, away from the thread that answers calls. */
const limit = createLimit(1);
const cache = readOnce(MAX_FILE_BYTES);
const parsed = new Map<string, YamlFile>();

parentPort?.on(
  'message',
  (path: string) => void scan(path).then((answer) => parentPort?.postMessage(answer)),
);

async function scan(path: string): Promise<ScanAnswer> {
  const witnesses = createWitnesses({ now: Date.now });
  const entries = async (folder: string) => readdirSync(folder, { withFileTypes: true });
  try {
    const scanned = await scanWorkspace(path, { cache, parsed, scan: { limit, witnesses, entries } });
    return { path, scanned, told: witnesses.told() };
  } catch (error) {
    return { path, failed: messageOf(error) };
  }
}
