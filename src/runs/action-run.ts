import type { Principal, Role } from '../access/identity.ts';
import type { JsonObject } from '../shared/json.ts';
import type { Approval, ApprovalRequest, GivenAnswer } from './approval.ts';
import type { ExecutorKind } from './executor.ts';
import type { LogGap } from './run-log.ts';

export type RunStatus = 'pending' | 'running' | 'success' | 'failed' | 'cancelled' | 'unknown';
export const RUN_STATUSES = ['pending', 'running', 'success', 'failed', 'cancelled', 'unknown'] as const;
export type RunTrigger = 'mcp' | 'cli' | 'workflow' | 'retrigger' | 'api';
export const RUN_SOURCES = ['ledger', 'api', 'logs', 'ingest'] as const;
export type RunSource = (typeof RUN_SOURCES)[number];

export interface RunAlias {
  source: string;
  endpoint: string | null;
  id: string;
}

/** Digests of content at launch; a later re-trigger compares them with today's. */
export interface Pins {
  block: string | null;
  config: string;
  config_keys: { [key: string]: string };
  inventory: string | null;
  image: string | null;
}

/** A step of a workflow, as the workflow's own record has it. */
export interface RecordedStep {
  name: string;
  block: string;
  /** The block as the workflow names it. */
  reference: string;
  action: string;
  /** Its run, whether it was started or not: minted before anything runs, so that no step runs twice. */
  run_id: string;
  plan_digest: string;
  /** Why there is no such run; null while the workflow is open, and for steps that were started. */
  not_run: string | null;
}

/** Known secrets that a log had before they were masked: keyed fingerprints, never the values. */
export interface LogRedactions {
  count: number;
  values: number;
  fingerprints: { fingerprint: string; times: number }[];
}

/**
 * One execution of one action (design.md section 4). Times are epoch milliseconds here and ISO 8601 UTC in
 * answers. Names are copies, never references, so that no deletion elsewhere changes history.
 */
export interface ActionRun {
  id: string;
  aliases: RunAlias[];
  kind: 'action' | 'workflow';
  organization: string | null;
  workspace: string;
  workspace_path: string | null;
  environment: { value: string; origin: string } | null;
  workspace_commit: string | null;
  workspace_dirty: boolean | null;
  block: string | null;
  block_version: string | null;
  app_version: string | null;
  block_from: string | null;
  action: string | null;
  workflow: string | null;
  step: string | null;
  parent: string | null;
  /** Of a workflow only. */
  steps?: RecordedStep[];
  /** Of a workflow only: a step that fails does not stop it. */
  allow_failure?: boolean;
  status: RunStatus;
  status_reason: string | null;
  exit_code: number | null;
  requested_at: number;
  approved_at: number | null;
  launched: boolean;
  started_at: number | null;
  finished_at: number | null;
  duration_ms: number | null;
  cli_version: string | null;
  hostname: string | null;
  os_user: string | null;
  principal: Principal | null;
  /** Who it was, as whoever reported the run says; nobody proved it here. */
  claimed_principal?: Principal;
  client: { name: string; version: string | null } | null;
  reason: string | null;
  trigger: RunTrigger;
  retrigger_of: string | null;
  cancelled_by: string | null;
  cancel_reason: string | null;
  approval: Approval | null;
  /** Under a rule that wants the agreement of others: the newest request, and the answers to it. */
  approval_request?: ApprovalRequest;
  approvals?: GivenAnswer[];
  policy_digest: string | null;
  /** Under a policy: the rule that decided, and the roles of who asked. */
  policy_rule?: string;
  requester_roles?: Role[];
  executor: {
    kind: ExecutorKind | 'remote';
    runner: string | null;
    image: string | null;
    image_digest: string | null;
    container: string | null;
  } | null;
  plan_digest: string | null;
  pins: Pins | null;
  log: {
    lines: number;
    bytes: number;
    sha256: string | null;
    gap: LogGap | null;
    redactions?: LogRedactions | null;
  } | null;
  api: RemoteReport | null;
  source: RunSource;
  /** `elsewhere`: the run was imported, and its own events and their proof lie in that ledger. */
  evidence: {
    authenticated: string[];
    claimed: string[];
    elsewhere?: ProofElsewhere;
    cli?: CliEvidence;
    /** The newest checkpoint of the ledger that reported the run, as it came: a copy that lies outside of it. */
    checkpoint?: JsonObject;
  };
  /** Another run that this one may be: alike, but without an id in common. */
  possible_duplicate_of?: string;
  /** Where another source says otherwise than this record. */
  contradictions?: Contradiction[];
}

/** What a run by the CLI tells less exactly (polycrate-cli facts 4.11). */
export interface CliEvidence {
  /** The CLI's own: 1 for every failure, whatever the action's was. */
  exit_code: 'flattened';
  /** What the action wrote to stdout and stderr comes as `stdout`; `stderr` is the CLI's own. */
  streams: 'merged';
}

/** What a source says of a field, against the record. */
export interface Contradiction {
  field: 'status' | 'exit_code' | 'started_at' | 'finished_at' | 'block_version';
  says: string | number;
  source: string;
  endpoint: string;
  /** The source's own id of the run. */
  id: string;
}

/** What a Polycrate API has of this run. */
export interface RemoteReport {
  /** Name of the endpoint. */
  endpoint?: string;
  action_run_id: string | null;
  url: string | null;
  /** `started`: an open record is there. `conflict`: somebody else's is in the way, so it is reported when it is over. */
  submission: 'started' | 'conflict' | 'delivered' | 'failed' | null;
  /** The record that was in the way. */
  conflict?: string | null;
  /** The API does not show it any more; when that was seen first. */
  gone?: { how: 'deleted' | 'archived'; seen_at: number };
}

/** The checkpoint of another ledger that an imported run was proved under, and the digest of the bundle. */
export interface ProofElsewhere {
  ledger: string;
  size: number;
  root: string;
  key_id: string;
  bundle: string;
}

export const RUN_EVENT_KINDS = [
  'run_requested', // the intent, with the whole initial record
  'run_approval_asked', // it waits for the agreement of others, to this plan
  'run_approval_answered',
  'run_queued', // a Polycrate API is asked, or was asked, to execute it
  'run_started',
  'run_adopted',
  'run_cancel_requested',
  'run_finished',
  'run_alias_added',
  'run_submitted', // how far its report to a Polycrate API is
  'run_imported', // a closed run of another ledger, whole
  'run_seen_elsewhere', // another source knows this run too: its ids, and where it says otherwise
] as const;
export type RunEventKind = (typeof RUN_EVENT_KINDS)[number];

/** What is handed to a ledger to be chained; an event that is not about a run has the empty `run_id`. */
export interface LedgerEvent {
  kind: string;
  run_id: string;
  at: number;
  /** Stored as they are. */
  facts: JsonObject;
  /** About or typed by a person: enters the canonical bytes only as salted commitments, so that it can be erased. */
  private: JsonObject;
}

/** Facts and private values are a patch of the record: member names are its fields, dots reach into nested ones. */
export interface RunEvent extends LedgerEvent {
  kind: RunEventKind;
}

export function isOpen(run: Pick<ActionRun, 'status'>): boolean {
  return run.status === 'pending' || run.status === 'running';
}

/** What may still come after the end of a run: it changes nothing about the execution. */
const AFTER_THE_END: readonly RunEventKind[] = ['run_alias_added', 'run_submitted', 'run_seen_elsewhere'];

/** True: the record is closed, and this event would change it; or it asks or answers what is decided. */
export function comesTooLate(
  run: Pick<ActionRun, 'status' | 'launched' | 'approved_at'> | null,
  { kind }: Pick<RunEvent, 'kind'>,
): boolean {
  if (run === null) return false;
  if (!isOpen(run)) return !AFTER_THE_END.includes(kind);
  if (kind === 'run_approval_asked') return run.launched;
  return kind === 'run_approval_answered' && (run.launched || run.approved_at !== null);
}
