import type { Reporting, RemoteTarget } from '../runs/reporting.ts';
import type { RunLedger } from '../runs/run-ledger.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/ports.ts';
import { timeLimit } from '../shared/time-limit.ts';
import { endpointOf, submissionTarget, type ApiDirectory, type WorkspaceChoice } from './endpoints.ts';
import { ownRunId } from './own-record.ts';
import type { RemoteRun } from './polycrate-api.ts';

export interface ReportingPorts {
  apis: Pick<ApiDirectory, 'setup' | 'open'>;
  choice: WorkspaceChoice;
  ledger: Pick<RunLedger, 'find'>;
  log: Log;
}

/** An open run at the API that this ledger does not know. */
export interface RemoteActive {
  endpoint: string;
  run: RemoteRun;
}

/** A look at the API before a launch or a plan takes no longer. */
const LOOK_MS = 1_000;

export function createReporting(ports: ReportingPorts): Reporting {
  return {
    async target({ organization, name }) {
      try {
        const found = submissionTarget(
          await ports.apis.setup(),
          { organization, workspace: name },
          ports.choice,
        );
        return found && { endpoint: found.name };
      } catch (error) {
        ports.log('error', 'the run is reported to no Polycrate API', { error: messageOf(error) });
        return null;
      }
    },
    async refuseBeside(target) {
      const { endpoints } = await ports.apis.setup();
      if (endpointOf({ endpoints }, target)?.on_remote_conflict !== 'refuse') return;
      const active = await activeElsewhere(ports, target);
      if (!active) return;
      throw new AppError('already_active', `not run: ${describeActive(active)}`, {
        next: 'wait until it has ended there; POLYCRATE_MCP_ON_REMOTE_CONFLICT says that nothing runs beside it',
        details: { action_run_id: active.run.id, url: active.run.url },
      });
    },
  };
}

/** An open run of the block at its API, started by others. Null: there is none, or it cannot be told in a second. */
export async function activeElsewhere(
  { apis, ledger, log }: Pick<ReportingPorts, 'apis' | 'ledger' | 'log'>,
  { organization, workspace, block }: RemoteTarget,
): Promise<RemoteActive | null> {
  const endpoint = endpointOf(await apis.setup(), { organization, workspace });
  if (!endpoint || organization === null) return null;
  const options = { within_ms: LOOK_MS, signal: timeLimit(LOOK_MS) };
  try {
    const api = (await apis.open(endpoint.name))!;
    const ids = await api.find({ organization, workspace, block }, options);
    const pages = await Promise.all(
      (['running', 'pending'] as const).map((status) =>
        api.runs({ block: ids.block, status, page_size: 5 }, options),
      ),
    );
    // An API that does not know the filter ignores it.
    const open = pages
      .flatMap(({ items }) => items)
      .filter(({ status }) => status === 'running' || status === 'pending');
    for (const run of open) {
      const own = ownRunId(await api.run(run.id, options));
      if (own === null || !(await ledger.find(own))) return { endpoint: endpoint.name, run };
    }
  } catch (error) {
    log('debug', 'whether the block is busy elsewhere could not be told', { error: messageOf(error) });
  }
  return null;
}

export function describeActive({ endpoint, run }: RemoteActive): string {
  const { id, action, started_at, user, url } = run;
  const since = started_at === null ? '' : ` since ${new Date(started_at).toISOString()}`;
  const by = user?.username ? ` by ${user.username}` : '';
  return `the Polycrate API ${endpoint} has an open run of this block${since}${by}: ${action ?? 'an action'} (${url ?? id})`;
}
