import { systemClock } from '../adapters/host/host.ts';
import type { Config } from '../config.ts';
import type { Records } from '../history/records.ts';
import { createCatalogues } from '../platform/catalogue.ts';
import type { ApiDirectory } from '../platform/endpoints.ts';
import { createRemoteFollower } from '../platform/follow-remote.ts';
import { createRemoteRuns } from '../platform/remote-plan.ts';
import type { RemoteRuns } from '../runs/remote.ts';
import type { Supervised, SupervisionPorts } from '../runs/supervision.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import { secretsIn } from './mirror.ts';

interface RemoteRunParts {
  config: Config;
  apis: ApiDirectory;
  records: Records;
}

/** Plans of what a Polycrate API would execute. */
export function remoteRunsOf({ config, apis, records }: RemoteRunParts): RemoteRuns {
  const catalogues = createCatalogues({ mirror: records.mirror, clock: systemClock });
  return createRemoteRuns({ on: config.remoteRetrigger, apis, catalogues });
}

interface FollowerParts extends Omit<RemoteRunParts, 'config'> {
  supervision: SupervisionPorts;
  store: WorkspaceStore;
  redaction: Redaction;
}

/** Has it executed, and follows it there. */
export function remoteFollowerOf({ records, apis, supervision, store, redaction }: FollowerParts): (run: Supervised) => Promise<void> {
  return createRemoteFollower({
    supervision,
    apis,
    mirror: records.mirror,
    secretsOf: secretsIn(store),
    redact: (text) => redaction.text(text),
    random: Math.random,
  });
} // prettier-ignore
