import type { Cell } from '../../runs/row.ts';
import { RUN_SOURCES, RUN_STATUSES, type ActionRun, type RunStatus } from '../../runs/action-run.ts';

/** Columns of `narrow_runs` whose value is the number of a term; 0: the run has none. */
export const TERM_COLUMNS = [
  'organization', 'place', 'environment', 'block', 'release', 'origin', 'action', 'crew', 'host', 'client', 'source',
  'said', 'unit',
] as const; // prettier-ignore
export type TermColumn = (typeof TERM_COLUMNS)[number];

/** The other columns that are derived from a record, as they are. */
export const PLAIN_COLUMNS = [
  'exit_code',
  'state',
  'bucket',
  'requested_at',
  'finished_at',
  'duration_ms',
] as const;
export type PlainColumn = (typeof PLAIN_COLUMNS)[number];

/** All but the number of the run. */
export const NARROW_COLUMNS = ['start', ...TERM_COLUMNS, ...PLAIN_COLUMNS] as const;

/** A run in numbers: what questions filter, group and sort by. Its terms are texts until they are stored. */
export interface NarrowRun extends Record<PlainColumn, number | null> {
  start: number;
  state: number;
  bucket: number;
  terms: Record<TermColumn, string | null>;
}

/** How the database spells a text that it cannot hold as it is. */
export type Spell = (text: string) => string;

/** Stands between texts that are searched together; within one of them it is replaced. */
const BORDER = '\u0001';

/** `people`: entries `role name`, as in `run_people`. */
export function narrowOf(run: ActionRun, { people, spell }: { people: readonly string[]; spell: Spell }): NarrowRun {
  const one = (text: string | null | undefined): string | null => (typeof text === 'string' ? spell(text) : null);
  const duration = run.duration_ms;
  return {
    start: run.started_at ?? run.requested_at,
    requested_at: run.requested_at,
    finished_at: run.finished_at,
    duration_ms: duration,
    exit_code: run.exit_code,
    state: stateOf(run),
    bucket: bucketOf(duration),
    terms: {
      organization: one(run.organization),
      place: JSON.stringify([one(run.organization), one(run.workspace)]),
      environment: one(run.environment?.value),
      block: one(run.block),
      release: tuple([one(run.block_version), one(run.app_version)]),
      origin: one(run.block_from),
      action: one(run.action),
      crew: tuple([one(run.principal?.display ?? run.os_user), ...[...people].sort()]),
      host: one(run.hostname),
      client: one(run.client?.name),
      source: RUN_SOURCES.includes(run.source) ? run.source : null,
      said: said([run.reason, run.status_reason], spell),
      unit: unit([run.organization, run.workspace, run.environment?.value, run.block, run.block_version, run.app_version, run.block_from].map(one)),
    },
  };
} // prettier-ignore

/** What was where: a block in its version, in a workspace. A run without a block has no version to trace. */
function unit(members: (string | null)[]): string | null {
  return members[3] === null ? null : JSON.stringify(members);
}

function tuple(members: readonly (string | null)[]): string | null {
  return members.every((member) => member === null) ? null : JSON.stringify(members);
}

function said(texts: readonly (string | null | undefined)[], spell: Spell): string | null {
  const folded = texts.flatMap((text) =>
    typeof text === 'string' && text !== '' ? [fold(text, spell)] : [],
  );
  return folded.length === 0 ? null : folded.join(BORDER);
}

/** For comparing without regard to case, the same way on both sides and in every database. */
export function fold(text: string, spell: Spell): string {
  return spell(text).toLowerCase().replaceAll(BORDER, '\u2401');
}

/** Counted runs come first, so that they are one range: launched, never launched, workflow parents. */
export const CLASS_SIZE = 8;
export const CLASSES = 3;

export function stateOf({ kind, launched, status }: Pick<ActionRun, 'kind' | 'launched' | 'status'>): number {
  const place = kind === 'workflow' ? 2 : launched ? 0 : 1;
  return place * CLASS_SIZE + RUN_STATUSES.indexOf(status);
}

export function statesOf(status: RunStatus): number[] {
  const index = RUN_STATUSES.indexOf(status);
  return Array.from({ length: CLASSES }, (_, place) => place * CLASS_SIZE + index);
}

/** Of runs without an end yet. A closed one of which nobody told the end was going on at its start, for all that is known. */
export const OPEN_STATES = [...statesOf('pending'), ...statesOf('running')].join(', ');

export function statusOf(state: number): RunStatus {
  return RUN_STATUSES[state % CLASS_SIZE]!;
}

/** Durations of one bucket differ by 1.8 % at the most, so its middle is wrong by less than 1 %. */
const GROWTH = 1.018;

/** 0: the run has no duration. */
export function bucketOf(duration_ms: number | null): number {
  if (duration_ms === null) return 0;
  return duration_ms < 1 ? 1 : 2 + Math.ceil(Math.log(duration_ms) / Math.log(GROWTH) - 1e-9);
}

/** No run of the bucket took longer, in whole milliseconds. */
export function mostOf(bucket: number): number {
  return bucket <= 1 ? 1 : Math.ceil(GROWTH ** (bucket - 2) * 1.000_001) + 1;
}

export function middleOf(bucket: number): number {
  if (bucket <= 1) return 0;
  const middle = (2 * GROWTH ** (bucket - 2)) / (1 + GROWTH);
  // Up to there a bucket holds one whole number, and a tenth is too much of it.
  return middle < 50 ? Math.round(middle) : Math.round(middle * 10) / 10;
}

/** A narrow run as verification compares it: in the order of `NARROW_COLUMNS`, terms as texts. */
export function cellsOf(run: NarrowRun): Cell[] {
  const cells: Cell[] = [run.start];
  for (const column of TERM_COLUMNS) cells.push(run.terms[column]);
  for (const column of PLAIN_COLUMNS) cells.push(run[column]);
  return cells;
}
