import { createGit } from '../adapters/git/index.ts';
import { systemClock } from '../adapters/host/host.ts';
import { foreignOf } from './foreign.ts';
import type { SupervisionParts } from './supervision.ts';
import { startPortsOf } from './start.ts';
import { VERSION } from '../config.ts';
import type { Outage } from '../runs/outage.ts';
import type { ApprovalWatch } from '../runs/conduct-approvals.ts';
import type { ApiDirectory } from '../platform/endpoints.ts';
import { createRunners } from '../runners/dispatch.ts';
import { NO_GIT } from '../runners/offered-workspaces.ts';
import { remoteOf } from './mirror.ts';
import { remoteRunsOf } from './remote-runs.ts';
import type { ApiMirror } from '../platform/mirror.ts';
import { activeElsewhere, createReporting } from '../platform/reporting.ts';
import type { Records } from '../history/records.ts';
import type { Submitter } from '../platform/submit.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { PolicyPorts } from '../runs/policies.ts';
import type { StartPorts } from '../runs/start.ts';
import type { Supervisor } from '../runs/supervisor.ts';
import type { SupervisionPorts } from '../runs/supervision.ts';
import { createTellings } from '../runs/untold.ts';
import { recent } from '../shared/recent.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { Services } from '../tools/services.ts';
import { tools } from '../tools/index.ts';

/** How old the status may be: a question that assistants ask often, and that decides nothing. */
const ENGINE_FRESH_MS = 5_000;
const OVERVIEW_FRESH_MS = 1_000;
const STANDING_FRESH_MS = 250;

interface ServiceParts extends Pick<SupervisionParts, 'config' | 'log'> {
  records: Records;
  redaction: Redaction;
  supervision: SupervisionPorts;
  supervisor: Supervisor;
  approvals: ApprovalWatch;
  requesters: StartPorts['requesters'];
  detacher: StartPorts['detacher'];
  apis: ApiDirectory;
  submitter: Submitter;
  store: WorkspaceStore;
  mirror: ApiMirror;
  policy: PolicyPorts;
  recorder: Services['recorder'];
  approvalLink: Services['approvalLink'];
  outage: Outage | null;
}

/** What tools are given. */
export function servicesOf({
  config,
  log,
  redaction,
  records,
  supervision,
  supervisor,
  approvals,
  requesters,
  detacher,
  apis,
  submitter,
  store,
  mirror,
  policy,
  recorder,
  approvalLink,
  outage,
}: ServiceParts): Services {
  const { executes } = supervision;
  const git = executes ? createGit({ env: config.childEnvironment, clock: systemClock, log }) : NO_GIT;

  const { ledger, untold } = records;
  const foreign = foreignOf({ config, log, records, supervision, store, mirror });
  const tellings = createTellings({
    untold,
    ledger,
    processes: supervision.processes,
    clock: systemClock,
    log,
  });
  const start = startPortsOf({
    ...{
      config,
      log,
      redaction,
      supervision,
      supervisor,
      approvals,
      detacher,
      store,
      policy,
      git,
      tellings,
      requesters,
      outage,
    },
    runner: null,
    reporting: createReporting({ apis, choice: config.submit, ledger, log }),
    remote: remoteRunsOf({ config, apis, records }),
  });
  return {
    version: VERSION,
    scope: null,
    get zone() {
      return config.timezone;
    },
    store,
    git,
    ledger: records.ledger,
    leases: records.leases,
    history: records.history,
    trail: records.trail,
    foreign,
    recorder,
    approvalLink,
    toolNames: tools.map(({ name }) => name),
    watch: records.watch,
    outage,
    logs: supervision.logs,
    clock: systemClock,
    settings: start.settings,
    start,
    runners: executes
      ? null
      : createRunners({ ...records, processes: supervision.processes, ids: start.ids, clock: systemClock }),
    supervisor,
    anchoring:
      config.checkpointEveryMs === null || config.checkpointTo === null
        ? null
        : { every_ms: config.checkpointEveryMs, place: config.checkpointTo },
    tellings,
    retention_ms: config.retentionMs,
    redaction,
    roots: config.workspaceRoots.map(({ path }) => path),
    policy: recent(async () => (await policy.policies?.standing()) ?? null, STANDING_FRESH_MS, systemClock),
    outbox: records.outbox,
    reports: recent(() => submitter.standing(), OVERVIEW_FRESH_MS, systemClock),
    remote: remoteOf({ records, apis, mirror, logs: supervision.logs, store }),
    busyElsewhere: (target) => activeElsewhere({ apis, ledger, log }, target),
    engine: recent(() => start.executor.status(), ENGINE_FRESH_MS, systemClock),
    overview: recent(() => store.list(), OVERVIEW_FRESH_MS, systemClock),
    standings: recent(() => foreign.standings(), STANDING_FRESH_MS, systemClock),
    standing: recent(() => records.ledger.status(), STANDING_FRESH_MS, systemClock),
  };
}
