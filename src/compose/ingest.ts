import { createIds, systemClock } from '../adapters/host/host.ts';
import type { Records } from '../history/records.ts';
import { createIngest, type Ingest } from '../platform/ingest/ingest.ts';
import { redactionsOf } from '../runs/prepare.ts';
import type { RunLogs } from '../runs/run-log.ts';
import { recent } from '../shared/recent.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

interface IngestParts {
  records: Records;
  store: WorkspaceStore;
  logs: RunLogs;
  redaction: Redaction;
}

/** How old what is known of workspaces may be; reports come many in a second. */
const FRESH_MS = 1_000;
const MOST_WORKSPACES = 1_000;

/** What takes runs that others report; looks at nothing before the first one comes. */
export function ingestOf({ records, store, logs, redaction }: IngestParts): Ingest {
  const workspaces = recent(
    async () => new Map((await store.list()).map((workspace) => [addressOf(workspace), workspace])),
    FRESH_MS,
    systemClock,
  );
  const known = async (organization: string, name: string): Promise<Workspace | null> =>
    (await workspaces()).get(addressOf({ organization, name })) ?? null;
  const secrets = new Map<string, () => Promise<string[]>>();
  const secretsOf = (organization: string, name: string): Promise<string[]> => {
    const address = addressOf({ organization, name });
    const ask = async (): Promise<string[]> => {
      const workspace = await known(organization, name);
      return workspace ? await redactionsOf({ store }, { workspace, files: { hosts: null } }) : [];
    };
    if (secrets.size >= MOST_WORKSPACES) secrets.clear();
    if (!secrets.has(address)) secrets.set(address, recent(ask, FRESH_MS, systemClock));
    return secrets.get(address)!();
  };
  return createIngest({
    mirror: records.mirror,
    ledger: records.ledger,
    logs,
    environmentOf: async (organization, workspace) => (await known(organization, workspace))?.environment ?? null,
    secretsOf,
    redact: (text) => redaction.text(text),
    clock: systemClock,
    ids: createIds(systemClock),
  });
} // prettier-ignore
