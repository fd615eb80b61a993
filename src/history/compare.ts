import type { ActionRun } from '../runs/action-run.ts';

/** One field in which two runs differ: `before` is the other run's value, `after` this one's. */
export interface Difference {
  [field: string]: unknown;
  field: string;
  before: unknown;
  after: unknown;
}

// What was run, where and by whom, and how it went; times and ids always differ and say nothing.
const FIELDS = [
  'workspace', 'organization', 'block', 'block_version', 'app_version', 'block_from', 'action', 'status',
  'status_reason', 'exit_code', 'duration_ms', 'workspace_commit', 'workspace_dirty', 'cli_version', 'hostname',
  'os_user', 'trigger', 'plan_digest',
] as const; // prettier-ignore

/** Of a value; reasons and references may be long. */
const MOST_CHARACTERS = 200;

export function compareRuns(before: ActionRun, after: ActionRun): Difference[] {
  const differences: Difference[] = [];
  const compare = (field: string, old: unknown, now: unknown): void => {
    if ((old ?? null) !== (now ?? null)) differences.push({ field, before: short(old), after: short(now) });
  };
  for (const field of FIELDS) compare(field, before[field], after[field]);
  compare('environment', before.environment?.value, after.environment?.value);
  compare('principal', before.principal?.display, after.principal?.display);
  compare('executor.kind', before.executor?.kind, after.executor?.kind);
  compare('executor.image', before.executor?.image, after.executor?.image);
  compare('executor.image_digest', before.executor?.image_digest, after.executor?.image_digest);
  compare('pins.block', before.pins?.block, after.pins?.block);
  compare('pins.inventory', before.pins?.inventory, after.pins?.inventory);
  const keys = new Set([
    ...Object.keys(before.pins?.config_keys ?? {}),
    ...Object.keys(after.pins?.config_keys ?? {}),
  ]);
  const changed = [...keys].filter((key) => before.pins?.config_keys[key] !== after.pins?.config_keys[key]).sort();
  for (const key of changed) {
    compare(`config.${key.slice(0, MOST_CHARACTERS)}`, mark(before.pins?.config_keys[key]), mark(after.pins?.config_keys[key]));
  }
  return differences;
} // prettier-ignore

function short(value: unknown): unknown {
  if (typeof value !== 'string' || value.length <= MOST_CHARACTERS) return value ?? null;
  return `${value.slice(0, MOST_CHARACTERS)}… (${value.length} characters)`;
}

// Config values are never recorded: a keyed digest tells that they differ, not what they are.
function mark(digest: string | undefined): string | null {
  return digest === undefined ? null : `digest ${digest.slice(0, 12)}`;
}
