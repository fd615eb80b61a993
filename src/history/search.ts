import type { Scope } from '../access/identity.ts';
import type { ActionRun, RunSource, RunStatus } from '../runs/action-run.ts';
import type { Around, ChangesPage } from './changes.ts';
import type { SummaryPage, SummaryQuery } from './summary.ts';
import type { TracePage, TraceQuery } from './versions.ts';

export type TimeField = 'started' | 'finished' | 'overlaps' | 'recorded';
export type RunOrder = 'newest' | 'oldest' | 'longest';

/** Half-open, epoch milliseconds; null: unbounded on that side. */
export interface TimeSpan {
  since: number | null;
  until: number | null;
}

/** Filters as they reach the store: names resolved, times in milliseconds. Empty lists do not occur. */
export interface RunFilters {
  organization?: readonly string[];
  /** Names, or `organization/name`. */
  workspace?: readonly string[];
  environment?: readonly string[];
  block?: readonly string[];
  /** Block references a run's block was made from: with or without registry host and version. */
  from?: string;
  /** Matches the block version or the app version. */
  block_version?: string;
  action?: readonly string[];
  status?: readonly RunStatus[];
  exit_code?: readonly number[];
  /** Lower-cased; matches person, principal, OS user, API user name or e-mail. */
  user?: readonly string[];
  host?: readonly string[];
  client?: string;
  source?: RunSource;
  /** Case-insensitive substring of reason, block, action, workspace or status reason. */
  text?: string;
  span: TimeSpan;
  time_field: TimeField;
}

export interface RunQuery {
  filters: RunFilters;
  /** Count and show requests that never launched and workflow parents too. */
  include_excluded: boolean;
  order: RunOrder;
  limit: number;
  /** Keyset position behind which to go on: sort value and id of the last row. */
  after: { value: number; id: string } | null;
}

export interface RunPage {
  runs: ActionRun[];
  total: number;
  next: { value: number; id: string } | null;
  /** What the same filters match but history does not count. */
  excluded: { never_launched: number; workflow_parents: number };
  /** Of those that count: runs that may be another one that was told of twice. */
  possible_duplicates: number;
  /** When the newest event of the whole ledger was stored: how fresh this answer is. With a scope, when its newest run ended, or began. */
  newest_at: number | null;
}

/** Columns whose known values serve closest-name errors and completions. */
export type NameColumn =
  | 'organization'
  | 'workspace'
  /** `organization/name`, `-` where there is no organization. */
  | 'address'
  | 'environment'
  | 'block'
  /** References of the blocks that blocks were made from. */
  | 'origin'
  | 'action'
  | 'user'
  | 'host'
  | 'client'
  | 'block_version';

/** A name as a question uses it. */
export interface NamedThing {
  column: NameColumn;
  name: string;
}

/** `scope`: whose runs exist for the asker; without one, or null, all do. */
export interface RunHistory {
  search(query: RunQuery, scope?: Scope): Promise<RunPage>;
  /** Exact counts. Throws `invalid_argument` where there are more groups than anybody can read. */
  summarize(query: SummaryQuery, scope?: Scope): Promise<SummaryPage>;
  /** When versions first and last succeeded where, and which ones succeeded last. */
  trace(query: TraceQuery, scope?: Scope): Promise<TracePage>;
  /** The runs around an instant, the closest first. */
  around(query: Around, scope?: Scope): Promise<ChangesPage>;
  /** When the first and the last of all runs began; null: there is none. */
  extent(scope?: Scope): Promise<{ oldest: number; newest: number } | null>;
  /** Distinct values, alphabetical, at most `limit`. */
  names(column: NameColumn, limit: number, scope?: Scope): Promise<string[]>;
  /** Those names that no run has. Users are compared without regard to case; a workspace may be an address. */
  missing(wanted: readonly NamedThing[], scope?: Scope): Promise<NamedThing[]>;
  /** Ids of the runs that were started again from this one, oldest first. */
  retriggersOf(run_id: string, limit: number, scope?: Scope): Promise<string[]>;
  /** Ids of runs that start with the prefix, newest first. */
  ids(prefix: string, limit: number, scope?: Scope): Promise<string[]>;
}
