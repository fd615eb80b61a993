import type { ActionRun } from '../runs/action-run.ts';
import type { RunLogs } from '../runs/run-log.ts';
import type { Stream } from '../runs/executor.ts';
import type { JsonObject } from '../shared/json.ts';
import type { FinishReport, OneShotReport, ReportedBlock, StartReport } from './polycrate-api.ts';

/** Our run's id among the labels of a start; what says that a record is of this very run. */
export const RUN_LABEL = 'polycrate_mcp_run';
/** The member of `metadata` that is ours. */
export const METADATA = 'polycrate_mcp';

/** Of one stream; of a longer one the end is sent, where failures are. */
const MOST_LOG = 1024 * 1024;
const MOST_LINES = 50_000;

/** Null: not everything that the API insists on is known. */
export function reportedBlock(run: ActionRun): ReportedBlock | null {
  const { organization, workspace, block, action, block_version } = run;
  if (!organization || !workspace || !block || !action) return null;
  return { organization, workspace, block, action, ...(block_version && { block_version }) };
}

export function startReport(run: ActionRun, place: ReportedBlock, force: boolean): StartReport {
  return {
    ...place,
    started_at: iso(startOf(run)),
    block_labels: { [RUN_LABEL]: run.id },
    ...(force && { force: true }),
  };
}

export interface ReportParts {
  logs: Pick<RunLogs, 'read'>;
  /** The ledger's newest signed checkpoint, so that a copy of it lies outside; null: none. */
  checkpoint: JsonObject | null;
}

/** The end of a run, as the API takes it. */
export async function finishReport(run: ActionRun, parts: ReportParts): Promise<FinishReport> {
  return {
    ...(await resultOf(run, parts)),
    ...(run.status === 'cancelled' && { status: 'cancelled' as const }),
  };
}

/** A whole run at once. It cannot be told as cancelled there; its metadata does. */
export async function oneShotReport(
  run: ActionRun,
  place: ReportedBlock,
  parts: ReportParts,
): Promise<OneShotReport> {
  return { ...place, started_at: iso(startOf(run)), ...(await resultOf(run, parts)) };
}

async function resultOf(run: ActionRun, { logs, checkpoint }: ReportParts): Promise<FinishReport> {
  const [stdout, stderr] = await Promise.all([outputOf(logs, run, 'stdout'), outputOf(logs, run, 'stderr')]);
  return {
    // Only 0 is success there, so nothing else may be 0; an end that nobody saw has no code at all.
    exit_code: run.status === 'success' ? 0 : run.exit_code || -1,
    finished_at: iso(run.finished_at ?? startOf(run)),
    ...(stdout !== '' && { stdout }),
    ...(stderr !== '' && { stderr }),
    metadata: { [METADATA]: metadataOf(run, checkpoint) },
  };
}

/** What the API has no field for. Erased values are missing. */
export function metadataOf(run: ActionRun, checkpoint: JsonObject | null): JsonObject {
  const { principal, client } = run;
  const members = {
    run_id: run.id,
    status: run.status,
    status_reason: run.status_reason,
    exit_code: run.exit_code,
    host: run.hostname,
    os_user: run.os_user,
    cli_version: run.cli_version,
    principal: principal && {
      kind: principal.kind,
      issuer: principal.issuer,
      subject: principal.subject,
      display: principal.display,
    },
    client: client && { name: client.name, version: client.version },
    reason: run.reason,
    trigger: run.trigger,
    retrigger_of: run.retrigger_of,
    plan_digest: run.plan_digest,
    executor: run.executor?.kind,
    image: run.executor?.image,
    log_sha256: run.log?.sha256,
    checkpoint,
  };
  const known = Object.entries(members).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(known) as JsonObject;
}

function startOf(run: ActionRun): number {
  return run.started_at ?? run.requested_at;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}

/** As it is stored, hence redacted. */
export async function outputOf(logs: Pick<RunLogs, 'read'>, run: ActionRun, stream: Stream): Promise<string> {
  const slice = await logs.read(run.id, { mode: 'tail', lines: MOST_LINES, line: 1, stream, matches: null });
  if (!slice || slice.lines.length === 0) return '';
  let size = 0;
  let first = slice.lines.length;
  while (first > 0 && size + Buffer.byteLength(slice.lines[first - 1]!.text) + 1 <= MOST_LOG) {
    size += Buffer.byteLength(slice.lines[--first]!.text) + 1;
  }
  const left = slice.matches - (slice.lines.length - first);
  const kept = slice.lines.slice(first).map(({ text }) => text);
  const notice = [
    ...(left > 0
      ? [`[polycrate-mcp: the first ${left} lines of ${stream} are left out here; run ${run.id} has them]`]
      : []),
    ...(slice.gap ? [`[polycrate-mcp: ${slice.gap.lines} lines of this log were not kept]`] : []),
  ];
  return [...notice, ...kept].join('\n');
}
