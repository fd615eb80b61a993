import { createWorkspaceFiles } from '../adapters/workspace-files/index.ts';
import type { Config } from '../config.ts';
import type { Log } from '../shared/ports.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

export function workspaceFilesOf(config: Config, log: Log): WorkspaceStore {
  return createWorkspaceFiles({
    roots: config.workspaceRoots,
    environmentsFile: config.environmentsFile,
    encryptionKey: config.encryptionKey,
    ageWorker: new URL('./age-worker.js', import.meta.url),
    scanWorker: new URL('./scan-worker.js', import.meta.url),
    log,
  });
}
