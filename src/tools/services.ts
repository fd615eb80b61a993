import type { RunHistory } from '../history/search.ts';
import type { Trail } from '../history/trail.ts';
import type { EngineStatus } from '../runs/executor.ts';
import type { RunSettings } from '../runs/prepare.ts';
import type { LedgerStatus, LedgerWatch, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import type { RunLogs } from '../runs/run-log.ts';
import type { StartPorts } from '../runs/start.ts';
import type { Supervisor } from '../runs/supervisor.ts';
import type { Tellings } from '../runs/untold.ts';
import type { CallRecorder } from '../runs/trail.ts';
import type { Clock } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';

/** Everything tools may use: read ports and use cases, no adapters. Built once in compose.ts. */
export interface Services {
  version: string;
  /** IANA zone for times without an offset. */
  zone: string;
  store: WorkspaceStore;
  ledger: RunLedger;
  leases: RunLeases;
  history: RunHistory;
  trail: Trail;
  recorder: CallRecorder;
  /** Of all tools, also of those that this run mode does not offer. */
  toolNames: readonly string[];
  watch: LedgerWatch;
  logs: RunLogs;
  clock: Clock;
  settings: RunSettings;
  start: StartPorts;
  supervisor: Supervisor;
  /** Checkpoints that are written by themselves; null: none are. */
  anchoring: { every_ms: number; place: string } | null;
  tellings: Tellings;
  /** How long everything is kept; null: for ever. */
  retention_ms: number | null;
  redaction: Redaction;
  /** Folders that are searched for workspaces. */
  roots: readonly string[];
  /** As of a few seconds ago at the most. */
  engine(): Promise<EngineStatus>;
  /** The workspaces as of a second ago at the most; `store` shows every change at once. */
  overview(): Promise<readonly Workspace[]>;
  /** Where the ledger stands, as of a quarter of a second ago at the most. */
  standing(): Promise<LedgerStatus>;
}
