import type { Scope } from '../access/identity.ts';
import type { Outbox } from '../runs/outbox.ts';
import type { RemoteTarget } from '../runs/reporting.ts';
import type { Runners } from '../runners/dispatch.ts';
import type { Remote } from '../platform/remote.ts';
import type { RemoteActive } from '../platform/reporting.ts';
import type { SubmissionStanding } from '../platform/submit.ts';
import type { ForeignSources } from '../history/sources.ts';
import type { SeenStanding } from '../ledger/mirror.ts';
import type { RunHistory } from '../history/search.ts';
import type { Trail } from '../history/trail.ts';
import type { Outage } from '../runs/outage.ts';
import type { EngineStatus } from '../runs/executor.ts';
import type { PolicyStanding } from '../runs/policies.ts';
import type { RunSettings } from '../runs/prepare.ts';
import type { LedgerStatus, LedgerWatch, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import type { RunLogs } from '../runs/run-log.ts';
import type { StartPorts } from '../runs/start.ts';
import type { Supervisor } from '../runs/supervisor.ts';
import type { ActionRun } from '../runs/action-run.ts';
import type { Tellings } from '../runs/untold.ts';
import type { CallRecorder } from '../runs/trail.ts';
import type { Clock } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { Git } from '../workspaces/git-state.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

/** Everything tools may use: read ports and use cases, no adapters. Built once in compose.ts. */
export interface Services {
  version: string;
  /** What exists for the asker; null: everything. Whatever is here answers accordingly. */
  scope: Scope;
  /** IANA zone for times without an offset. */
  zone: string;
  store: WorkspaceStore;
  git: Git;
  ledger: RunLedger;
  leases: RunLeases;
  history: RunHistory;
  trail: Trail;
  /** Runs that others executed. */
  foreign: ForeignSources;
  recorder: CallRecorder;
  /** Of all tools, also of those that this run mode does not offer. */
  toolNames: readonly string[];
  watch: LedgerWatch;
  /** The journal that stands in for a database that is away; null: there is none. */
  outage: Outage | null;
  logs: RunLogs;
  clock: Clock;
  settings: RunSettings;
  start: StartPorts;
  /** What executes for this server; null: it does so itself. */
  runners: Runners | null;
  supervisor: Supervisor;
  /** The page where a run that waits can be approved; null: it waits for nobody, or there is no page. */
  approvalLink(run: ActionRun): Promise<string | null>;
  /** Checkpoints that are written by themselves; null: none are. */
  anchoring: { every_ms: number; place: string } | null;
  tellings: Tellings;
  /** How long everything is kept; null: for ever. */
  retention_ms: number | null;
  redaction: Redaction;
  /** The policy file, as of a moment ago; null: this run mode has none. */
  policy(): Promise<PolicyStanding | null>;
  /** Folders that are searched for workspaces. */
  roots: readonly string[];
  /** What only a Polycrate API has. */
  remote: Remote;
  /** Reports to the Polycrate API, as of a second ago at the most. */
  reports(): Promise<SubmissionStanding>;
  outbox: Pick<Outbox, 'find'>;
  /** An open run of a block at its Polycrate API that this ledger does not know. */
  busyElsewhere(target: RemoteTarget): Promise<RemoteActive | null>;
  /** As of a few seconds ago at the most. */
  engine(): Promise<EngineStatus>;
  /** The workspaces as of a second ago at the most; `store` shows every change at once. */
  overview(): Promise<readonly Workspace[]>;
  /** Where the syncs of other sources stand, as of a quarter of a second ago at the most. */
  standings(): Promise<readonly SeenStanding[]>;
  /** Where the ledger stands, as of a quarter of a second ago at the most. */
  standing(): Promise<LedgerStatus>;
}
