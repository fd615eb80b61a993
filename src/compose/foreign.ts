import { systemClock } from '../adapters/host/host.ts';
import { createCliLogs } from '../adapters/workspace-files/cli-logs.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { createForeignSources, type ForeignSources } from '../history/sources.ts';
import type { ApiMirror } from '../platform/mirror.ts';
import { secretsOf } from '../runs/prepare.ts';
import type { SupervisionPorts } from '../runs/supervision.ts';
import type { Log } from '../shared/ports.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

interface ForeignParts {
  config: Config;
  log: Log;
  records: Records;
  supervision: SupervisionPorts;
  store: WorkspaceStore;
  mirror: ApiMirror;
}

/** What others ran: the CLI's logs, and the Polycrate APIs. */
export function foreignOf({
  config,
  log,
  records,
  supervision,
  store,
  mirror,
}: ForeignParts): ForeignSources {
  return createForeignSources({
    ports: {
      files: createCliLogs({ worker: new URL('./cli-log-worker.js', import.meta.url) }),
      mirror: records.mirror,
      logs: supervision.logs,
      secretsOf: (workspace) => secretsOf(store, workspace),
      clock: systemClock,
    },
    workspaces: () => store.list(),
    // They lie in workspaces.
    logs: config.logsImport === 'on' && supervision.executes,
    api: mirror,
    log,
  });
}
