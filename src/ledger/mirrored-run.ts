import { createHmac } from 'node:crypto';
import { canonicalJson, sameJson, type Json, type JsonObject } from '../shared/json.ts';
import {
  isOpen,
  type ActionRun,
  type Contradiction,
  type RunAlias,
  type RunSource,
} from '../runs/action-run.ts';
import { setMembers } from '../runs/fold.ts';
import { SAME_MOMENT_MS as TOLERANCE_MS } from '../runs/contradictions.ts';
import type { ForeignRecord } from './mirror.ts';
import { valuesOf, type MirroredRow, type RowParts } from './mirrored-row.ts';

/** A null for every field; a source fills in what it knows. */
export function blankRecord(workspace: string, requested_at: number): ForeignRecord {
  return {
    kind: 'action', organization: null, workspace, workspace_path: null, environment: null, workspace_commit: null,
    workspace_dirty: null, block: null, block_version: null, app_version: null, block_from: null, action: null,
    workflow: null, step: null, parent: null, status: 'unknown', status_reason: null, exit_code: null, requested_at,
    approved_at: null, launched: true, started_at: null, finished_at: null, duration_ms: null, cli_version: null,
    hostname: null, os_user: null, principal: null, client: null, reason: null, trigger: 'cli', retrigger_of: null,
    cancelled_by: null, cancel_reason: null, approval: null, policy_digest: null, executor: null, plan_digest: null,
    pins: null, log: null, api: null,
  };
} // prettier-ignore

/** Who is believed where two sources differ; a run of our own ledger comes before all of them. */
const PRECEDENCE: readonly string[] = ['ingest', 'api', 'logs'];

/** What tells how a run ended, taken from one source as a whole. */
const ENDING = ['status', 'status_reason', 'exit_code', 'finished_at', 'duration_ms'] as const;

/** The run as one row tells it. */
export function runOf(row: Omit<MirroredRow, 'seq' | 'position' | 'current' | 'commitments'>): ActionRun {
  return runOfParts(row, { facts: JSON.parse(row.facts) as JsonObject, private: valuesOf(row) });
}

/** The same of a row whose texts were not made yet. */
export function runOfParts(row: Pick<MirroredRow, 'run_id' | 'source' | 'endpoint' | 'foreign_id' | 'was'>, parts: RowParts): ActionRun {
  // Onto the blank one, whose shape is always the same: copies of so many members cost ten times as much.
  const record = blankRecord('', 0) as unknown as JsonObject;
  setMembers(record, parts.facts);
  setMembers(record, { id: row.run_id, source: row.source });
  setMembers(record, parts.private);
  const run = record as unknown as ActionRun;
  run.aliases = aliasesIn(parts.facts, row);
  return run;
} // prettier-ignore

function aliasesOf(row: MirroredRow): RunAlias[] {
  return aliasesIn(JSON.parse(row.facts) as JsonObject, row);
}

function aliasesIn(facts: JsonObject, { source, endpoint, foreign_id, was }: Pick<MirroredRow, 'source' | 'endpoint' | 'foreign_id' | 'was'>): RunAlias[] {
  const { aliases = [] } = facts as { aliases?: RunAlias[] };
  const before = was === null ? [] : [{ source: 'ledger', endpoint: null, id: was }];
  return [{ source, endpoint, id: foreign_id }, ...aliases, ...before];
} // prettier-ignore

/**
 * A run that only others saw, put together from its rows in their order: fields of the source that is believed, gaps
 * filled from the others, contradictions named. Superseded rows lend nothing but their ids, which go on resolving.
 * Null: no row counts any more.
 */
export function mirroredRun(rows: readonly MirroredRow[]): ActionRun | null {
  const counting = rows
    .filter(({ current }) => current === 1)
    .sort((a, b) => PRECEDENCE.indexOf(a.source) - PRECEDENCE.indexOf(b.source));
  const [first, ...others] = counting.map((row) => ({ row, run: runOf(row) }));
  if (!first) return null;
  const { run } = first;
  const ended = isOpen(run) && others.find((other) => !isOpen(other.run));
  if (ended) for (const name of ENDING) Object.assign(run, { [name]: ended.run[name] });
  const record = run as unknown as JsonObject;
  for (const other of others) {
    for (const [name, value] of Object.entries(other.run as unknown as JsonObject)) record[name] ??= value;
  }
  run.id = first.row.run_id;
  run.source = first.row.source as RunSource;
  run.aliases = distinct(rows.flatMap(aliasesOf)).filter(({ id }) => id !== run.id);
  run.evidence ??= { authenticated: [], claimed: claimedBy(run) };
  const duplicate = counting.find(({ duplicate_of }) => duplicate_of !== null)?.duplicate_of;
  if (duplicate) run.possible_duplicate_of = duplicate;
  const contradictions = others.flatMap((other) => contradictionsOf(run, other.run, other.row));
  if (contradictions.length > 0) run.contradictions = contradictions;
  return run;
}

/** Nothing of it was seen by this ledger. */
function claimedBy(run: ActionRun): string[] {
  const fields = ['principal', 'os_user', 'hostname', 'client', 'reason', 'block_version', 'cli_version', 'status', 'exit_code', 'started_at', 'finished_at'] as const;
  return fields.filter((name) => (run[name] ?? null) !== null);
} // prettier-ignore

type Seen = Pick<MirroredRow, 'source' | 'endpoint' | 'foreign_id'>;

/** Where another source says otherwise. What says of an open run that it has ended contradicts it, until it ends like that. */
export function contradictionsOf(run: ActionRun, other: ActionRun, { source, endpoint, foreign_id }: Seen): Contradiction[] {
  const found: Contradiction[] = [];
  const note = (field: Contradiction['field'], differs: (a: never, b: never) => boolean): void => {
    const [own, says] = [run[field] ?? null, other[field] ?? null] as [never, never];
    if (own === null || says === null || !differs(own, says)) return;
    found.push({ field, says, source, endpoint, id: foreign_id });
  };
  const unequal = (a: Json, b: Json): boolean => a !== b;
  const apart = (a: number, b: number): boolean => Math.abs(a - b) > TOLERANCE_MS;
  note('started_at', apart);
  note('block_version', unequal);
  if (isOpen(other)) return found;
  if (isOpen(run)) {
    for (const field of ['status', 'exit_code', 'finished_at'] as const) {
      const says = other[field];
      if (says !== null) found.push({ field, says, source, endpoint, id: foreign_id });
    }
    return found;
  }
  for (const field of ['status', 'exit_code'] as const) note(field, unequal);
  note('finished_at', apart);
  return found;
} // prettier-ignore

/** The same thing done, as far as both tell: what shares an id but not this is not one run. */
export function isSameAction(a: ActionRun, b: ActionRun): boolean {
  const names = ['organization', 'workspace', 'block', 'action'] as const;
  return names.every((name) => a[name] === null || b[name] === null || a[name] === b[name]);
}

/** Perhaps one run that was told of twice; `b` is not of the source of `a`, which knows its own runs apart. */
export function isAlike(a: ActionRun, b: ActionRun): boolean {
  const start = ({ started_at, requested_at }: ActionRun): number => started_at ?? requested_at;
  return (
    a.kind === b.kind && a.workspace === b.workspace && a.block === b.block && a.action === b.action && isSameAction(a, b) &&
    a.exit_code === b.exit_code && Math.abs(start(a) - start(b)) <= TOLERANCE_MS
  );
} // prettier-ignore

/** Starts between these may be the same as one of the given: few spans, which do not overlap. */
export function around(starts: readonly number[]): { from: number; to: number }[] {
  const spans: { from: number; to: number }[] = [];
  for (const start of [...starts].sort((a, b) => a - b)) {
    const [from, to] = [start - TOLERANCE_MS, start + TOLERANCE_MS];
    const last = spans.at(-1);
    if (last && from <= last.to) last.to = to;
    else spans.push({ from, to });
  }
  return spans;
}

export function distinct(aliases: readonly RunAlias[]): RunAlias[] {
  return aliases.filter((alias, index) => aliases.findIndex((other) => sameJson(alias, other)) === index);
}

/** UUIDv7 of the start; the same for the same run of the same source as long as the start is. */
export function foreignId(key: Uint8Array, { at, source, endpoint, id }: { at: number; source: string; endpoint: string; id: string }): string {
  const bits = createHmac('sha256', key).update(canonicalJson(['mirrored', source, endpoint, id])).digest('hex');
  const time = Math.max(0, Math.floor(at)).toString(16).padStart(12, '0').slice(-12);
  const variant = (8 + (parseInt(bits[3]!, 16) % 4)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${bits.slice(0, 3)}-${variant}${bits.slice(4, 7)}-${bits.slice(7, 19)}`;
} // prettier-ignore
