import { keyOf, type Identity } from '../../access/identity.ts';
import type { ForeignRecord } from '../../ledger/mirror.ts';
import { blankRecord } from '../../ledger/mirrored-run.ts';
import type { LogSummary } from '../../runs/run-log.ts';
import { isObject, sameJson, type JsonObject } from '../../shared/json.ts';
import { uuidOfValues } from '../../shared/uuid.ts';
import type { Environment } from '../../workspaces/workspace.ts';
import { checkpointSchema } from '../../ledger/checkpoint.ts';
import type { RunAlias } from '../../runs/action-run.ts';
import { detailsOf, durationOf, type Details } from '../mirrored-api-run.ts';
import { METADATA, RUN_LABEL } from '../report.ts';
import type { FinishedReport, PlaceReport } from './reports.ts';

// From a report to what the ledger stores of it. Only who reported was proved; all else is claimed.

/** What a report calls its run elsewhere; whoever repeats a report names the same. */
export interface ReportedIds {
  /** In the ledger of the reporter. */
  run_id: string | null;
  /** Of the CLI. */
  transaction: string | null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const uuidOf = (value: unknown): string | null =>
  typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : null;

export function idsOfReport(labels: JsonObject | null, metadata: JsonObject | null): ReportedIds {
  const ours = metadata?.[METADATA];
  const run_id = uuidOf(labels?.[RUN_LABEL]) ?? (isObject(ours) ? uuidOf(ours['run_id']) : null);
  const { transaction, transaction_id } = detailsOf(metadata);
  return { run_id, transaction: uuidOf(transaction ?? transaction_id ?? labels?.['transaction']) };
}

/** Null: nothing tells this run from another of its kind. */
export function identityOfReport({ run_id, transaction }: ReportedIds): string | null {
  return run_id ?? transaction;
}

/**
 * What `ingest` knows a run by. Whoever reports under another key or for another workspace speaks of another run, so
 * that nobody replaces what somebody else told.
 */
export function foreignIdOf(
  identity: Pick<Identity, 'principal'>,
  { organization, workspace }: PlaceReport,
  known: string,
): string {
  return uuidOfValues([keyOf(identity.principal), organization, workspace, known]);
}

export function identifiersOf({ run_id, transaction }: ReportedIds): RunAlias[] {
  return [
    ...(run_id === null ? [] : [{ source: 'ledger', endpoint: null, id: run_id }]),
    ...(transaction === null ? [] : [{ source: 'cli', endpoint: null, id: transaction }]),
  ];
}

export interface RowParts {
  identity: Pick<Identity, 'principal'>;
  now: number;
  environment: Environment | null;
  /** Free text as it may be stored. */
  clean(text: string): string;
}

/** An open run. */
export function startedRecord(report: PlaceReport & { started_at: number | null }, { identity, now, environment, clean }: RowParts): ForeignRecord {
  const { organization, workspace, block, action, block_version } = report;
  const record: ForeignRecord = {
    ...blankRecord(workspace, now),
    organization,
    environment: environment && { ...environment },
    block,
    action,
    block_version: block_version && clean(block_version),
    status: 'running',
    started_at: report.started_at ?? now,
    principal: { ...identity.principal },
  };
  return { ...record, evidence: evidenceOf(record) };
} // prettier-ignore

/** The same run with its end, and with what only the end tells of it. */
export function finishedRecord(
  started: ForeignRecord,
  report: FinishedReport,
  { now, clean, log }: RowParts & { log: LogSummary | null },
): ForeignRecord {
  const told = detailsOf(report.metadata);
  const finished_at = report.finished_at ?? now;
  const record: ForeignRecord = {
    ...started,
    ...claimsOf(told, clean),
    ...endOf(report, told),
    status_reason: told.status_reason ? clean(told.status_reason) : null,
    cancel_reason: null,
    cancelled_by: null,
    finished_at,
    duration_ms: durationOf(started.started_at, finished_at),
    log: log && { ...log },
  };
  const checkpoint = checkpointOf(report.metadata);
  return { ...record, evidence: { ...evidenceOf(record), ...(checkpoint && { checkpoint }) } };
}

/** Somebody else insisted on running beside it: its record is closed, whatever the process does. */
export function supersededRecord(
  started: ForeignRecord,
  { now, by }: { now: number; by: string },
): ForeignRecord {
  const record: ForeignRecord = {
    ...started,
    status: 'cancelled',
    status_reason: 'another run of the block was started with force; nobody told how this one ended',
    finished_at: now,
    duration_ms: durationOf(started.started_at, now),
    cancelled_by: by,
  };
  return { ...record, evidence: evidenceOf(record) };
}

/** True: what closed the record was not its reporter, which may still tell the end. */
export function isSuperseded({
  status,
  cancelled_by,
}: Pick<ForeignRecord, 'status' | 'cancelled_by'>): boolean {
  return status === 'cancelled' && (cancelled_by ?? null) !== null;
}

/** True: the same end is told once more. */
export function isSameEnd(record: ForeignRecord, again: ForeignRecord): boolean {
  return record.status === again.status && sameJson(record.exit_code, again.exit_code);
}

/** 0 is success and anything else a failure; a report of this program also tells of ends that nobody saw. */
function endOf({ exit_code, status }: FinishedReport, told: Details): Pick<ForeignRecord, 'status' | 'exit_code'> {
  if (status === 'cancelled') return { status, exit_code: told.ours ? (told.exit_code ?? null) : exit_code };
  if (told.ours && exit_code !== 0 && (told.status === 'unknown' || told.status === 'cancelled')) {
    return { status: told.status, exit_code: told.exit_code ?? null };
  }
  return { status: exit_code === 0 ? 'success' : 'failed', exit_code };
} // prettier-ignore

function claimsOf(told: Details, cleaned: (text: string) => string): Partial<ForeignRecord> {
  const text = (value: string | undefined): string | null => (value ? cleaned(value).slice(0, 2_000) : null);
  const { principal, client, executor, image } = told;
  const members: Partial<ForeignRecord> = {
    hostname: text(told.host ?? told.hostname),
    os_user: text(told.os_user ?? told.user),
    cli_version: text(told.cli_version ?? told.version),
    workspace_commit: text(told.commit_sha ?? told.commit),
    client: client ? { name: text(client.name) ?? '-', version: text(client.version ?? undefined) } : null,
    reason: text(told.reason),
    ...(told.trigger && { trigger: told.trigger }),
    ...(told.retrigger_of && { retrigger_of: told.retrigger_of }),
    ...(told.plan_digest && { plan_digest: told.plan_digest }),
    ...(executor && {
      executor: { kind: executor, runner: null, image: text(image), image_digest: null, container: null },
    }),
    ...(principal && {
      claimed_principal: {
        kind: principal.kind,
        issuer: text(principal.issuer ?? undefined),
        subject: text(principal.subject) ?? '-',
        display: text(principal.display) ?? '-',
      },
    }),
  };
  return members;
}

const CLAIMS = [
  'claimed_principal', 'os_user', 'hostname', 'client', 'reason', 'block_version', 'cli_version', 'workspace_commit', 'status',
  'exit_code', 'started_at', 'finished_at', 'log',
] as const; // prettier-ignore

function evidenceOf(record: ForeignRecord): NonNullable<ForeignRecord['evidence']> {
  return { authenticated: ['principal'], claimed: CLAIMS.filter((name) => (record[name] ?? null) !== null) };
}

/** The reporter's newest checkpoint, if it has the form of one; whether it is genuine, its own ledger can tell. */
function checkpointOf(metadata: JsonObject | null): JsonObject | null {
  const ours = metadata?.[METADATA];
  const { data } = checkpointSchema.safeParse(isObject(ours) ? ours['checkpoint'] : undefined);
  return data ? data : null;
}
