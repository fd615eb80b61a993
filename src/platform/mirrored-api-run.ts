import { z } from 'zod';
import type { ForeignRecord, ForeignRun } from '../ledger/mirror.ts';
import { blankRecord } from '../ledger/mirrored-run.ts';
import {
  RUN_STATUSES,
  type ActionRun,
  type Pins,
  type RunAlias,
  type RunStatus,
} from '../runs/action-run.ts';
import { keyedDigest } from '../shared/json.ts';
import type { Environment } from '../workspaces/workspace.ts';
import { ownRunId } from './own-record.ts';
import type { RemoteRun, RemoteRunDetail, RemoteUser } from './polycrate-api.ts';
import { METADATA } from './report.ts';

// A record of the Polycrate API as a run of everybody's history. All of it is claimed: whoever may submit decides it.

export interface MappingPlace {
  /** Name of the API. */
  endpoint: string;
  redact(text: string): string;
  environmentOf(organization: string | null, workspace: string): Environment | null;
  /** The ledger's, for digests of runs, so that they can be compared with our own. */
  key: Uint8Array;
}

/** The detail of a run, or its row in a list where there is no detail to be had. */
export type Known = RemoteRun & Partial<Omit<RemoteRunDetail, keyof RemoteRun>>;

export function foreignRunOf(run: Known, place: MappingPlace, now: number): ForeignRun {
  const { endpoint, redact } = place;
  const detail: RemoteRunDetail = { ...NO_DETAIL, ...run };
  const own = detailsOf(detail.metadata);
  const told = endOf(detail, own);
  const workspace = run.workspace?.name ?? '-';
  const organization = run.organization?.name ?? null;
  const text = (value: string | null | undefined): string | null => (value ? redact(value).slice(0, MOST_TEXT) : null);
  const record: ForeignRecord = {
    ...blankRecord(workspace, run.created_at ?? run.started_at ?? now),
    ...told,
    status_reason: text(told.status_reason),
    organization,
    environment: place.environmentOf(organization, workspace),
    block: run.block?.name ?? null,
    block_version: detail.block_version,
    action: run.action,
    started_at: run.started_at,
    duration_ms: durationOf(run.started_at, told.finished_at),
    hostname: text(own.host ?? own.hostname),
    os_user: text(own.os_user ?? own.user),
    cli_version: text(own.cli_version ?? own.version),
    workspace_commit: text(own.commit_sha ?? own.commit),
    principal: principalOf(own.principal, run.user, { endpoint, text }),
    client: own.client ? { name: text(own.client.name) ?? '-', version: text(own.client.version) } : null,
    reason: text(own.reason),
    trigger: own.trigger ?? (detail.task_id === null ? 'cli' : 'api'),
    retrigger_of: own.retrigger_of ?? null,
    plan_digest: own.plan_digest ?? null,
    pins: pinsOf(detail.block_config, place.key),
    executor: executorOf(detail, own),
    api: { endpoint, action_run_id: run.id, url: run.url, submission: null, ...goneOf(detail, now) },
  };
  return { id: run.id, identifiers: identifiersOf(detail, own), record };
} // prettier-ignore

const MOST_TEXT = 2_000;

const NO_DETAIL = {
  status_reason: null, block_version: null, block_labels: null, block_config: null, metadata: null, command: null, task_id: null,
  updated_at: null, is_deleted: false, archived: false,
}; // prettier-ignore

const text = z.string().max(MOST_TEXT).optional().catch(undefined);
const uuid = z.uuid().optional().catch(undefined);

/** What this program puts into `metadata`, and what the CLI may put there by the names of its own event log. */
const details = z.object({
  status: z.enum(RUN_STATUSES).optional().catch(undefined),
  status_reason: text,
  exit_code: z.int().nullable().optional().catch(undefined),
  host: text, hostname: text, os_user: text, user: text, cli_version: text, version: text, commit: text, commit_sha: text,
  transaction: uuid, transaction_id: uuid,
  principal: z
    .object({ kind: z.enum(['os', 'key', 'oidc', 'api']), issuer: z.string().nullable().catch(null), subject: z.string(), display: z.string() })
    .optional().catch(undefined),
  client: z.object({ name: z.string(), version: z.string().nullable().catch(null) }).optional().catch(undefined),
  reason: text,
  trigger: z.enum(['mcp', 'cli', 'workflow', 'retrigger', 'api']).optional().catch(undefined),
  retrigger_of: uuid,
  plan_digest: z.string().regex(/^[0-9a-f]{64}$/).optional().catch(undefined),
  executor: z.enum(['docker', 'local', 'cli', 'remote']).optional().catch(undefined),
  image: text,
}); // prettier-ignore

/** What the free members of a report tell of a run. `ours`: this program wrote them. */
export type Details = z.infer<typeof details> & { ours: boolean };

export function detailsOf(metadata: RemoteRunDetail['metadata']): Details {
  const own = details.safeParse(metadata?.[METADATA]);
  if (own.success) return { ...own.data, ours: true };
  return { ...(details.safeParse(metadata ?? {}).data ?? {}), ours: false };
}

type End = Pick<ForeignRecord, 'status' | 'status_reason' | 'exit_code' | 'finished_at'>;

/** A report of this program says more than the API has fields for: `unknown` ends, and that there was no exit code. */
function endOf(run: RemoteRunDetail, own: Details): End {
  const status = statusOf(run.status);
  const open = status === 'pending' || status === 'running';
  const finished_at = open ? null : run.finished_at;
  if (own.ours && !open && own.status !== undefined && own.status !== 'pending' && own.status !== 'running') {
    const { status_reason = null, exit_code = null } = own;
    return { status: own.status, status_reason, exit_code, finished_at };
  }
  const strange = status === 'unknown' ? `the API says "${run.status.slice(0, 40)}"` : null;
  return {
    status,
    status_reason: run.status_reason ?? strange,
    exit_code: open ? null : run.exit_code,
    finished_at,
  };
}

export function statusOf(word: string): RunStatus {
  return RUN_STATUSES.find((status) => status === word) ?? 'unknown';
}

export function durationOf(start: number | null, end: number | null): number | null {
  return start === null || end === null || end < start ? null : end - start;
}

/** Who ran it as its reporter tells, else whose key it was reported with. */
function principalOf(
  told: Details['principal'],
  user: RemoteUser | null,
  { endpoint, text: clean }: { endpoint: string; text(value: string | null): string | null },
): ActionRun['principal'] {
  if (told) return { ...told, subject: clean(told.subject) ?? '-', display: clean(told.display) ?? '-' };
  const subject = clean(user?.email ?? user?.username ?? null);
  if (subject === null) return null;
  return { kind: 'api', issuer: endpoint, subject, display: clean(user?.username ?? null) ?? subject };
}

/** Of the configuration only, which is all of its kind that the API has: keyed digests, as our own runs have them. */
function pinsOf(config: RemoteRunDetail['block_config'], key: Uint8Array): Pins | null {
  if (config === null) return null;
  const keys: [string, string][] = Object.entries(config).map(([name, value]) => [name, keyedDigest(key, value)]);
  return { block: null, config: keyedDigest(key, config), config_keys: Object.fromEntries(keys), inventory: null, image: null };
} // prettier-ignore

function executorOf({ task_id }: RemoteRunDetail, own: Details): ActionRun['executor'] {
  const kind = own.executor ?? (task_id === null ? null : 'remote');
  if (kind === null) return null;
  return { kind, runner: null, image: own.image ?? null, image_digest: null, container: null };
}

function identifiersOf(run: RemoteRunDetail, own: Details): RunAlias[] {
  const [ours, transaction] = [ownRunId(run), own.transaction ?? own.transaction_id];
  return [
    ...(ours !== null && z.uuid().safeParse(ours).success ? [{ source: 'ledger', endpoint: null, id: ours }] : []),
    ...(transaction ? [{ source: 'cli', endpoint: null, id: transaction }] : []),
  ];
} // prettier-ignore

function goneOf({ is_deleted, archived }: RemoteRunDetail, at: number): Pick<Remote, 'gone'> {
  if (is_deleted) return { gone: { how: 'deleted', seen_at: at } };
  return archived ? { gone: { how: 'archived', seen_at: at } } : {};
}

type Remote = NonNullable<ActionRun['api']>;

/** A run of the history that is not at the API any more: what it said stays, and that it is gone is told. */
export function goneRun(run: ActionRun, id: string, { endpoint, at }: { endpoint: string; at: number }): ForeignRun {
  const { id: _, aliases: __, source, evidence: ___, possible_duplicate_of: ____, contradictions: _____, ...record } = run;
  const { organization, workspace, block, action, status, exit_code, started_at, finished_at } = record;
  const blank = { ...blankRecord(workspace, run.requested_at), organization, block, action, status, exit_code, started_at, finished_at };
  const api = { endpoint, action_run_id: id, url: run.api?.url ?? null, submission: null, gone: { how: 'deleted' as const, seen_at: at } };
  // What this ledger saw itself stays in its own record, and is no claim of the API.
  return { id, identifiers: [], record: { ...(source === 'api' ? record : blank), api } };
} // prettier-ignore
