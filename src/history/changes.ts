import type { ActionRun } from '../runs/action-run.ts';
import type { RunPage } from './search.ts';

/** What a change may have in common with what the question names. */
export const COMMON = ['workspace', 'host', 'block', 'organization'] as const;
export type Common = (typeof COMMON)[number];

export interface Around {
  at: number;
  /** Half-open; runs that were still going on at `since` count, too. */
  since: number;
  until: number;
  environment?: readonly string[] | undefined;
  /** Ranks; what has nothing in common comes last. */
  near: { [name in Common]?: readonly string[] | undefined };
  skip: number;
  limit: number;
}

export interface Change {
  run: ActionRun;
  /** What it has in common with what is named. */
  same: Common[];
  /** Epoch milliseconds from `at`: negative before it, 0 if it was going on. */
  distance_ms: number;
  /** The launched run of the same block in the same workspace before it. */
  previous: ActionRun | null;
}

export interface ChangesPage extends Pick<RunPage, 'excluded' | 'newest_at'> {
  changes: Change[];
  total: number;
  /** Of these: what has something in common with what is named. */
  in_scope: number;
  next: number | null;
}
