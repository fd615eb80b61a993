import type { ActionRun, RunSource, RunStatus } from '../runs/action-run.ts';

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
  /** When the newest event of the whole ledger was stored: how fresh this answer is. */
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

export interface RunHistory {
  search(query: RunQuery): Promise<RunPage>;
  /** Distinct values, alphabetical, at most `limit`. */
  names(column: NameColumn, limit: number): Promise<string[]>;
  /** Those names that no run has. Users are compared without regard to case; a workspace may be an address. */
  missing(wanted: readonly NamedThing[]): Promise<NamedThing[]>;
  /** Ids of the runs that were started again from this one, oldest first. */
  retriggersOf(run_id: string, limit: number): Promise<string[]>;
  /** Ids of runs that start with the prefix, newest first. */
  ids(prefix: string, limit: number): Promise<string[]>;
}
