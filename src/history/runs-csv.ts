import type { ActionRun } from '../runs/action-run.ts';
import type { Json } from '../shared/json.ts';

type Cell = string | number | boolean | null | undefined;

/** Column → what stands in it. Times are ISO 8601 UTC. */
const COLUMNS: Record<string, (run: Partial<ActionRun>) => Cell> = {
  id: ({ id }) => id,
  requested_at: ({ requested_at }) => iso(requested_at),
  started_at: ({ started_at }) => iso(started_at),
  finished_at: ({ finished_at }) => iso(finished_at),
  duration_ms: ({ duration_ms }) => duration_ms,
  status: ({ status }) => status,
  status_reason: ({ status_reason }) => status_reason,
  exit_code: ({ exit_code }) => exit_code,
  launched: ({ launched }) => launched,
  kind: ({ kind }) => kind,
  organization: ({ organization }) => organization,
  workspace: ({ workspace }) => workspace,
  environment: ({ environment }) => environment?.value,
  block: ({ block }) => block,
  block_version: ({ block_version }) => block_version,
  action: ({ action }) => action,
  principal: ({ principal }) => principal?.display,
  os_user: ({ os_user }) => os_user,
  host: ({ hostname }) => hostname,
  client: ({ client }) => client?.name,
  reason: ({ reason }) => reason,
  approved_by: ({ approval }) => approval?.by,
  cancelled_by: ({ cancelled_by }) => cancelled_by,
  trigger: ({ trigger }) => trigger,
  retrigger_of: ({ retrigger_of }) => retrigger_of,
  commit: ({ workspace_commit }) => workspace_commit,
  image: ({ executor }) => executor?.image,
  image_digest: ({ executor }) => executor?.image_digest,
  log_sha256: ({ log }) => log?.sha256,
  source: ({ source }) => source,
};

const LINE_END = '\r\n';

/** The first line. */
export const CSV_HEAD = `${[...Object.keys(COLUMNS), 'events'].join(',')}${LINE_END}`;

/** One run as a line (RFC 4180); `events` are the numbers under which the proof has them. */
export function csvLine(record: { [member: string]: Json }, events: readonly { seq: number }[]): string {
  const run = record as Partial<ActionRun>;
  const cells = Object.values(COLUMNS).map((of) => cell(of(run)));
  return `${[...cells, events.map(({ seq }) => seq).join(' ')].join(',')}${LINE_END}`;
}

/**
 * Spreadsheets take text that begins so for a formula and run it: an apostrophe makes it text. Cells with a
 * semicolon are quoted too, because in half of Europe it separates cells.
 */
export function cell(value: Cell): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  const text = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
  return /[",;\r\n\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function iso(time: number | null | undefined): string | null {
  return typeof time === 'number' ? new Date(time).toISOString() : null;
}
