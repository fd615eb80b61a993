import { AppError } from '../shared/errors.ts';
import type { Json } from '../shared/json.ts';
import type { MirroredRow } from './mirrored-row.ts';
import type { ActionRun, RunAlias, RunSource } from '../runs/action-run.ts';

// Runs that others executed. The port lies here and not beside the sources, because a mirrored row is bytes that the
// chain vouches for: FORMAT.md, verification, erasing and pruning know it. Sources know nothing of any of that.

/** Whose history it is; `ledger` is our own, which nobody mirrors. */
export type ForeignSource = Exclude<RunSource, 'ledger'>;

/** What a source says of a run. Everything is taken as claimed unless `evidence` tells otherwise. */
export type ForeignRecord = Omit<
  ActionRun,
  'id' | 'aliases' | 'source' | 'evidence' | 'possible_duplicate_of' | 'contradictions'
> & { evidence?: ActionRun['evidence'] };

export interface ForeignRun {
  /** What this source knows the run by, for ever; a later row with the same id replaces this one. */
  id: string;
  /**
   * Under which other ids the run may be known here: our own run id that was carried elsewhere, the API's id, the
   * CLI's transaction. A UUID is compared with every id of every run; any other text only with its own source and
   * endpoint.
   */
  identifiers: readonly RunAlias[];
  /** Cleaned and redacted by the source: what arrives here is stored. `blankRecord()` has a null for every field. */
  record: ForeignRecord;
  /** Without these the row is refused, alone: looked at in the transaction that stores the page. */
  only_if?: RowCondition;
}

export interface RowCondition {
  /** No other run of its block is open in its workspace, as far as this ledger ran it or was told of it by `ingest`. */
  alone?: boolean;
  /** The row of this source, endpoint and id that counts is this one; null: there is none. */
  after?: Pick<MirroredRow, 'seq' | 'position'> | null;
}

/** A row that was not stored. `active`: a run of its block is open. `stale`: another row counts by now. */
export interface RefusedRow {
  /** Its place in the page. */
  row: number;
  why: 'active' | 'stale';
  /** The run that is open, or the one that the other row is of. */
  run_id: string | null;
}

/** What one step of a sync found. */
export interface ForeignPage {
  source: ForeignSource;
  /** Names one place of that source, as people know it: an API endpoint, a workspace's address. No secrets. */
  endpoint: string;
  /** Now. */
  at: number;
  /** At most `MOST_ROWS`, in any order. Empty: only the position moves. */
  rows: readonly ForeignRun[];
  /** Where the next sync goes on, in the source's own words. Undefined: it stays where it is. */
  position?: Json;
  /**
   * The position that must still be there, null for none; else nothing is stored, and it rejects with `lease_lost`: another
   * process reads this endpoint. Undefined: it does not matter.
   */
  expected?: Json;
  /** False: no source was asked, so where its sync stands does not change. */
  told?: boolean;
  /** What this endpoint still lacks, for answers: one short phrase, or null. Undefined: as before. */
  missing?: string | null;
}

export const MOST_ROWS = 500;

/** Where the row lies that says it, and whether our run of it is a new one. */
export interface StoredRow extends Pick<MirroredRow, 'run_id' | 'seq' | 'position'> {
  fresh: boolean;
}

/** How many rows of a page did what; each row counts once. */
export interface PageStored {
  /** New runs. */
  added: number;
  /** New rows of runs that were there, from this ledger or another source. */
  joined: number;
  /** Rows that replaced an older one. */
  changed: number;
  unchanged: number;
  /** Our id of the run of each row, in the order of the page; empty where the row was refused. */
  run_ids: string[];
  /** Each row of the page, in its order; null where it was refused. */
  rows: (StoredRow | null)[];
  /** Absent: none was. */
  refused?: RefusedRow[];
}

/** A row as one looks for it at its source. */
export interface RowSeen {
  id: string;
  /** The source did not show it any more. */
  gone: boolean;
}

/** How much earlier than its row says a run may have begun: it was reported later. */
export const LATE_MS = 30 * 24 * 60 * 60 * 1000;

/** Where the sync of one endpoint stands. Working state: no event proves it. */
export interface SyncStanding {
  source: ForeignSource;
  endpoint: string;
  position: Json;
  /** Rows that count, and the first and the last start among them. */
  runs: number;
  oldest: number | null;
  newest: number | null;
  /** When a page was stored last, also an empty one. */
  success_at: number | null;
  /** Newer than the last success, or null. */
  problem: { at: number; says: string } | null;
  missing: string | null;
}

/** As it is shown; null: how many is not for the asker to know. */
export type SeenStanding = Omit<SyncStanding, 'runs'> & { runs: number | null };

/**
 * The store of mirrored runs. To write a source: `standing` tells where to go on, then `storePage` again and again
 * with the next rows and the position behind them, both in one transaction, so that a crash repeats a page and never
 * skips one; `failed` when it cannot go on. Repeating is free: a row that says what it said before writes nothing.
 *
 * A row gets a run of its own, with an id of ours that stays, unless one of its ids is known: then it is one more
 * row of that run. If that run is of our own ledger its record keeps what we saw, gets the ids as aliases, the `api`
 * facts, and `contradictions` where the row says otherwise; runs that only others saw are put together from all their
 * rows (mirrored-run.ts). A row whose ids are known but whose workspace, block or action is another one stays apart.
 * Likeness alone sets `possible_duplicate_of`.
 */
export interface Mirror {
  /** Rejects with `ledger_unavailable` where nothing may be stored; then nothing was. */
  storePage(page: ForeignPage): Promise<PageStored>;
  /** The rows that count of runs that only others saw and that are known by one of these ids. */
  heardOf(ids: readonly string[]): Promise<MirroredRow[]>;
  /** The rows that count of these ids of one source. */
  current(source: ForeignSource, endpoint: string, ids: readonly string[]): Promise<MirroredRow[]>;
  /**
   * The rows that count of one endpoint whose runs were requested between two times, both included, as that source tells it.
   * A run that began more than 30 days before its row says so may be missing.
   */
  between(
    place: { source: ForeignSource; endpoint: string },
    span: { from: number; to: number },
  ): Promise<RowSeen[]>;
  /** Null: nothing of this endpoint was ever stored, nor did it fail. */
  standing(source: ForeignSource, endpoint: string): Promise<SyncStanding | null>;
  standings(): Promise<SyncStanding[]>;
  failed(source: ForeignSource, endpoint: string, problem: { at: number; says: string }): Promise<void>;
}

/** The kind of event that has the root of one page. */
export const PAGE_MIRRORED = 'page_mirrored';

export function positionMoved(): AppError {
  return new AppError('lease_lost', 'another process goes on with this sync');
}
