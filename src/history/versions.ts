import type { ActionRun } from '../runs/action-run.ts';
import type { RunFilters, TimeSpan } from './search.ts';

export interface TraceQuery {
  filters: Pick<
    RunFilters,
    'organization' | 'workspace' | 'environment' | 'block' | 'from' | 'block_version' | 'action'
  >;
  /** Versions of which a run began in it. What is told of them is of all time. */
  span: TimeSpan;
  skip: number;
  limit: number;
}

/** A block in a workspace. */
export interface Spot {
  organization: string | null;
  workspace: string;
  environment: string | null;
  block: string;
}

export interface BlockVersion {
  version: string | null;
  app_version: string | null;
}

/** A success after which another version had succeeded: the version came back. */
export interface Return {
  run: ActionRun;
  replaced: BlockVersion;
}

/** A version of a block in a workspace. */
export interface TracedVersion extends Spot, BlockVersion {
  /** The first and the last run that succeeded; null: none did. */
  first: ActionRun | null;
  last: ActionRun | null;
  /** What had succeeded there before the first success. */
  replaced: BlockVersion | null;
  /** Runs that failed before the first success, or at all if there is none. */
  failed_before: number;
  /** The first of them. */
  first_failed: ActionRun | null;
  /** The newest first. */
  returns: Return[];
  /** True: there may be older ones. */
  more_returns: boolean;
}

/** The version that succeeded last, and since when no other one has. */
export interface CurrentVersion extends Spot, BlockVersion {
  since: number;
  last: number;
  run_id: string;
  /** A higher version of the block that has succeeded elsewhere. */
  behind: (BlockVersion & Pick<Spot, 'organization' | 'workspace'>) | null;
}

export interface TracePage {
  /** Those that succeeded (or were tried) first most recently come first. */
  timeline: TracedVersion[];
  total: number;
  next: number | null;
  current: CurrentVersion[];
  total_current: number;
  newest_at: number | null;
}

/** The highest number of returns that are told of one version, and of workspaces in `current`. */
export const MOST_RETURNS = 3;
export const MOST_CURRENT = 20;

const collator = new Intl.Collator('en', { numeric: true });

/** Negative: `one` is lower. Numbers are compared as numbers, and a pre-release is lower than its release. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [one, other].map((text) => {
    const [release = '', ...rest] = text
      .replace(/^v(?=\d)/, '')
      .replace(/\+.*$/, '')
      .split('-');
    return { release: release.split('.'), pre: rest.join('-') };
  }) as [Parsed, Parsed];
  for (let n = 0; n < Math.max(a.release.length, b.release.length); n++) {
    const order = collator.compare(a.release[n] ?? '0', b.release[n] ?? '0');
    if (order !== 0) return order;
  }
  if (a.pre === '' || b.pre === '') return Number(a.pre === '') - Number(b.pre === '');
  return collator.compare(a.pre, b.pre);
}

interface Parsed {
  release: string[];
  pre: string;
}
