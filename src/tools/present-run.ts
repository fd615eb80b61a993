import type { VerificationNote } from '../runs/run-ledger.ts';
import { isOpen, type ActionRun } from '../runs/action-run.ts';
import { approvalNeeded, recordedApproval } from './present-approval.ts';

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

/**
 * The rows of a page; a page that the ledger answers once more has the rows that it had. They name the organization
 * where there is more than one.
 */
export function leanRuns(runs: readonly ActionRun[]): Record<string, unknown>[] {
  let lean = rows.get(runs);
  if (lean) return lean;
  const several = new Set(runs.map(({ organization }) => organization)).size > 1;
  lean = runs.map((run) => ({ ...leanRun(run), ...(several && { organization: run.organization }) }));
  rows.set(runs, lean);
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
    ...(run.workflow && { workflow: run.workflow, ...(run.step && { step: run.step }) }),
    user: userOf(run),
    // Erased fields are missing.
    host: run.hostname ?? null,
    source: run.source,
    ...(run.possible_duplicate_of && { possible_duplicate_of: run.possible_duplicate_of }),
  };
}

export function userOf(run: ActionRun): string | null {
  return run.principal?.display ?? run.os_user ?? null;
}

type LeanRun = ReturnType<typeof leanRun> & { id: string; status: string; exit_code: number | null };

/** The answer about one run that was started, waited for or cancelled. */
export function runAnswer(
  run: ActionRun,
  link: string | null = null,
): { run: LeanRun; finished: boolean; succeeded: boolean | null } {
  const finished = !isOpen(run);
  const awaited = approvalNeeded(run, link);
  const row: Record<string, unknown> = {
    ...leanRun(run),
    organization: run.organization,
    status_reason: run.status_reason,
    ...(run.executor?.runner && { runner: run.executor.runner }),
    ...(run.parent && { parent: run.parent }),
    ...(run.retrigger_of && { retrigger_of: run.retrigger_of }),
    ...(run.approval && { approval: { ...run.approval, at: iso(run.approval.at) } }),
    ...(awaited && { approval_needed: awaited }),
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
  return { ...run, ...times, ...recordedApproval(run) };
}

/** Characters of rows in one answer: about 4,500 tokens by default, 15,000 where more rows were asked for. */
const ROWS_CHARACTERS = { usual: 18_000, most: 60_000 };
const USUAL_LIMIT = 20;

/** How many of these rows fit into one answer, at least one: names may be long, and an answer may not. `beside`: what else is in it. */
export function rowsThatFit(
  rows: readonly unknown[],
  limit: number,
  beside: readonly unknown[] = [],
): number {
  const room = limit <= USUAL_LIMIT ? ROWS_CHARACTERS.usual : ROWS_CHARACTERS.most;
  return fitting(rows, room - JSON.stringify(beside).length);
}

/** How many of these, the first ones, are so many characters as JSON; at least one. */
export function fitting(rows: readonly unknown[], characters: number): number {
  let room = characters;
  for (const [index, row] of rows.entries()) {
    room -= JSON.stringify(row).length + 1;
    if (room < 0) return Math.max(index, 1);
  }
  return rows.length;
}

/** Of a text in an answer that has no pages. */
const TEXT_CHARACTERS = 2_000;

/** A text that is longer says how long it is. */
export function clippedText(text: string, characters = TEXT_CHARACTERS): string {
  return text.length <= characters ? text : `${text.slice(0, characters)}… (${text.length} characters)`;
}
