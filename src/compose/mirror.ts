import { systemClock } from '../adapters/host/host.ts';
import type { App } from '../compose.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import type { ApiDirectory } from '../platform/endpoints.ts';
import { createCatalogues } from '../platform/catalogue.ts';
import { createApiMirror, type ApiMirror } from '../platform/mirror.ts';
import { createCheckpointFinder } from '../platform/returned-checkpoint.ts';
import { createRemote, type Remote, type RemotePorts } from '../platform/remote.ts';
import { secretsOf } from '../runs/prepare.ts';
import type { RunLogs } from '../runs/run-log.ts';
import type { Log, ProcessTable } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import { addressOf } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

interface MirrorParts {
  config: Config;
  log: Log;
  records: Records;
  apis: ApiDirectory;
  store: WorkspaceStore;
  redaction: Redaction;
  processes: ProcessTable;
  verification: App['verification'];
}

/** Brings runs of the Polycrate API into the ledger; does nothing before it is told to. */
export function apiMirrorOf({
  config,
  log,
  records,
  apis,
  store,
  redaction,
  processes,
  verification,
}: MirrorParts): ApiMirror {
  return createApiMirror({
    apis,
    mirror: records.mirror,
    ledger: records.ledger,
    processes,
    clock: systemClock,
    backfill: config.mirrorBackfill,
    max_age_ms: config.mirrorMaxAgeMs,
    redact: (text) => redaction.text(text),
    catalogues: createCatalogues({ mirror: records.mirror, clock: systemClock }),
    async environments() {
      const named = (await store.list()).filter(({ environment }) => environment !== null);
      return new Map(named.map((workspace) => [addressOf(workspace), workspace.environment!]));
    },
    random: Math.random,
    // Where checkpoints are written by a timer, those are the anchor.
    ...(config.checkpointEveryMs === null && { seen: createCheckpointFinder(verification) }),
    log,
  });
}

interface RemoteParts extends Pick<MirrorParts, 'records' | 'apis' | 'store'> {
  mirror: ApiMirror;
  logs: RunLogs;
}

/** What only the API has, for tools. */
export function remoteOf({ records, apis, store, mirror, logs }: RemoteParts): Remote {
  return createRemote({
    apis,
    mirror,
    logs,
    catalogues: createCatalogues({ mirror: records.mirror, clock: systemClock }),
    secretsOf: secretsIn(store),
  });
}

/** What the output of somebody else's run must not show, as far as its workspace is here. */
export function secretsIn(store: WorkspaceStore): RemotePorts['secretsOf'] {
  return async ({ organization, workspace: name }) => {
    const address = addressOf({ organization, name });
    const workspace = (await store.list()).find((one) => addressOf(one) === address);
    return workspace ? secretsOf(store, workspace) : [];
  };
}
