import type { RunFilters, RunPage } from './search.ts';

export const TIME_GROUPS = ['hour', 'day', 'week', 'month'] as const;
export type TimeGroup = (typeof TIME_GROUPS)[number];
export const NAME_GROUPS = [
  'organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'status', 'user', 'host', 'client',
  'source',
] as const; // prettier-ignore
export type NameGroup = (typeof NAME_GROUPS)[number];
export const GROUP_KEYS = [...NAME_GROUPS, ...TIME_GROUPS] as const;
export type GroupKey = NameGroup | TimeGroup;

/** A part of time, half-open, as it is called in the zone of the question: `2026-10-25`, `2026-W43`. */
export interface TimeSlice {
  since: number;
  until: number;
  label: string;
}

export interface SummaryQuery {
  filters: RunFilters;
  /** At most one of them is a time; none: one group of everything. */
  group_by: readonly GroupKey[];
  /** In their order, without gaps, for the one that is a time; runs are placed by their start. */
  slices: readonly TimeSlice[] | null;
  order: 'runs' | 'key';
  /** How many groups of that order to leave out. */
  skip: number;
  limit: number;
}

export interface RunGroup {
  /** In the order of `group_by`; null: the run has none. */
  key: (string | null)[];
  runs: number;
  success: number;
  failed: number;
  cancelled: number;
  unknown: number;
  /** Pending or running. */
  open: number;
  /** Milliseconds; null where no run has a duration. */
  duration: { p50: number; p95: number; max: number } | null;
  /** When the first and the last of them began. */
  first: number;
  last: number;
}

export interface SummaryPage extends Pick<RunPage, 'excluded' | 'newest_at'> {
  groups: RunGroup[];
  total_runs: number;
  total_groups: number;
  /** What to skip for the next page; null at the end. */
  next: number | null;
  /** Durations come from counts by size, and may be wrong by 1 %. All else is always exact. */
  approximate: boolean;
}
