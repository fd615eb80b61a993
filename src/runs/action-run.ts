import type { JsonObject, Json } from '../shared/json.ts';
import type { ExecutorKind } from './executor.ts';
import type { LogGap } from './run-log.ts';

export type RunStatus = 'pending' | 'running' | 'success' | 'failed' | 'cancelled' | 'unknown';
export const RUN_STATUSES = ['pending', 'running', 'success', 'failed', 'cancelled', 'unknown'] as const;
export type RunTrigger = 'mcp' | 'cli' | 'workflow' | 'retrigger' | 'api';
export const RUN_SOURCES = ['ledger', 'api', 'logs', 'ingest'] as const;
export type RunSource = (typeof RUN_SOURCES)[number];

export interface Principal {
  kind: 'os' | 'key' | 'oidc' | 'api';
  issuer: string | null;
  subject: string;
  display: string;
}

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

export interface Approval {
  outcome: 'approved' | 'declined';
  strength: 'client' | 'key' | 'other_principal';
  by: string;
  at: number;
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
  client: { name: string; version: string | null } | null;
  reason: string | null;
  trigger: RunTrigger;
  retrigger_of: string | null;
  cancelled_by: string | null;
  cancel_reason: string | null;
  approval: Approval | null;
  policy_digest: string | null;
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
  api: { action_run_id: string | null; url: string | null; submission: string | null } | null;
  source: RunSource;
  /** `elsewhere`: the run was imported, and its own events and their proof lie in that ledger. */
  evidence: { authenticated: string[]; claimed: string[]; elsewhere?: ProofElsewhere };
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
  'run_started',
  'run_adopted',
  'run_cancel_requested',
  'run_finished',
  'run_alias_added',
  'run_imported', // a closed run of another ledger, whole
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

/** The projection: what the record says after an event. Pure, so that it can be rebuilt from the events. */
export function applyEvent(run: ActionRun | null, event: RunEvent): ActionRun {
  // The event too: a private member that reaches into an object of `facts` must not be written there.
  return foldEvent(structuredClone(run), structuredClone(event));
}

/** The same in place, for who owns record and event. A closed record takes nothing but aliases. */
export function foldEvent(run: ActionRun | null, event: RunEvent): ActionRun {
  if (run && !isOpen(run) && event.kind !== 'run_alias_added') return run;
  const record = (run ?? {}) as unknown as JsonObject;
  if (event.kind === 'run_alias_added') {
    const alias = event.facts['alias'];
    record['aliases'] = [...(record['aliases'] as Json[]), alias as Json];
    return record as unknown as ActionRun;
  }
  for (const patch of [event.facts, event.private]) {
    for (const [path, value] of Object.entries(patch)) {
      if (path.includes('.')) setPath(record, path.split('.'), value);
      else record[path] = value;
    }
  }
  return record as unknown as ActionRun;
}

function setPath(target: JsonObject, path: readonly string[], value: Json): void {
  const [head, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  // Own members only: stored text must not reach a prototype.
  const nested = Object.hasOwn(target, head) ? target[head] : null;
  // A copy: what is nested in the record may still be the event's own, and must not be written into its facts.
  const next = nested !== null && typeof nested === 'object' && !Array.isArray(nested) ? { ...nested } : {};
  target[head] = next;
  setPath(next, rest, value);
}
