import type { VerificationNote } from '../runs/run-ledger.ts';
import { isOpen, type ActionRun } from '../runs/action-run.ts';

/** Epoch milliseconds as ISO 8601 UTC. */
export function iso(time: number): string;
export function iso(time: number | null): string | null;
export function iso(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

/** When the ledger was verified, with which result, and up to which event. */
export function verifiedOf(note: VerificationNote | null): Record<string, unknown> | null {
  return note && { at: iso(note.at), result: note.result, up_to_event: note.up_to, findings: note.findings };
}

const rows = new WeakMap<readonly ActionRun[], Record<string, unknown>[]>();

/** The rows of a page; a page that the ledger answers once more has the rows that it had. */
export function leanRuns(runs: readonly ActionRun[]): Record<string, unknown>[] {
  let lean = rows.get(runs);
  if (!lean) rows.set(runs, (lean = runs.map(leanRun)));
  return lean;
}

/** A row of a list: what most questions need, in few tokens. */
export function leanRun(run: ActionRun): Record<string, unknown> {
  return {
    id: run.id,
    started_at: iso(run.started_at),
    status: run.status,
    exit_code: run.exit_code,
    duration_ms: run.duration_ms,
    workspace: run.workspace,
    environment: run.environment?.value ?? null,
    block: run.block,
    block_version: run.block_version,
    action: run.action,
    user: userOf(run),
    // Erased fields are missing.
    host: run.hostname ?? null,
    source: run.source,
  };
}

export function userOf(run: ActionRun): string | null {
  return run.principal?.display ?? run.os_user ?? null;
}

type LeanRun = ReturnType<typeof leanRun> & { id: string; status: string; exit_code: number | null };

/** The answer about one run that was started, waited for or cancelled. */
export function runAnswer(run: ActionRun): { run: LeanRun; finished: boolean; succeeded: boolean | null } {
  const finished = !isOpen(run);
  const row: Record<string, unknown> = {
    ...leanRun(run),
    organization: run.organization,
    status_reason: run.status_reason,
    ...(run.retrigger_of && { retrigger_of: run.retrigger_of }),
    ...(run.approval && { approval: { ...run.approval, at: iso(run.approval.at) } }),
    ...(run.cancelled_by && { cancelled_by: run.cancelled_by }),
    ...(run.log && { log_lines: run.log.lines }),
    log: `polycrate://runs/${run.id}/log`,
  };
  return {
    run: row as LeanRun,
    finished,
    succeeded: finished ? run.status === 'success' : null,
  };
}

const TIMES = ['requested_at', 'approved_at', 'started_at', 'finished_at'] as const;

/** The whole record, with times as ISO 8601 UTC. */
export function fullRun(
  run: ActionRun,
): Record<string, unknown> & { id: string; status: string; exit_code: number | null } {
  const times = Object.fromEntries(TIMES.map((name) => [name, iso(run[name])]));
  return { ...run, ...times, approval: run.approval && { ...run.approval, at: iso(run.approval.at) } };
}
