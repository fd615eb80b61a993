import type { AnchorNote, AnchorProblem, VerificationNote } from '../runs/run-ledger.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Pruning } from './prune.ts';
import type { Frontier } from './checkpoint-tree.ts';

/** What is wrong with a ledger. `field` and `run_id` are there where they can be told. */
export interface Finding {
  fault:
    | 'event_changed'
    | 'event_missing'
    | 'event_unexpected'
    | 'link_broken'
    | 'private_changed'
    | 'private_unexpected'
    | 'private_missing'
    | 'row_changed'
    | 'row_missing'
    | 'row_unexpected'
    | 'anchor_mismatch'
    | 'anchor_altered'
    | 'pruning_forged'
    | 'storage';
  /** One sentence for a reader. */
  says: string;
  seq?: number;
  /** Last of several events in a row. */
  to_seq?: number;
  run_id?: string;
  table?:
    | 'events'
    | 'event_private'
    | 'runs'
    | 'run_people'
    | 'run_aliases'
    | 'requests'
    | 'rollups'
    | 'calls'
    | 'mirrored'
    | 'narrow_runs'
    | 'run_counts'
    | 'unit_spans';
  field?: string;
}

/** A state of the chain that is already known: the signed copy, or what an earlier verification saw. */
export interface KnownState extends Pick<Checkpoint, 'size' | 'head' | 'root'> {
  /** For the sentence: "the anchor FILE", "the verification of …". */
  name: string;
}

/** Where a verification goes on that need not begin at the first event. */
export interface StartingPoint extends Pick<Checkpoint, 'size' | 'head'> {
  frontier: Frontier;
}

export interface VerifyTask {
  from: StartingPoint | null;
  known: readonly KnownState[];
}

export interface VerifyCounts {
  events: number;
  runs: number;
  private_values: number;
}

/** What a verification found; `size`, `head`, `root` and `frontier` describe the chain as it is. */
export interface VerifyReport extends Pick<Checkpoint, 'size' | 'head' | 'root'> {
  frontier: Frontier;
  checked: VerifyCounts;
  findings: Finding[];
  /** More than the list holds, if there are too many to list. */
  findings_total: number;
  erased: Erased[];
  erased_total: number;
  /** What the ledger says of the events that were pruned from its beginning. */
  pruning: Pruning | null;
  /** Events up to this one were not looked at; 0: all that are there were. */
  from: number;
}

/** Private values that are gone. The chain is whole without them. */
export interface Erased {
  seq: number;
  run_id: string;
  names: string[];
}

export interface Progress {
  step: 'events' | 'runs' | 'file';
  done: number;
  total: number;
}

/** Reads a ledger and reports; changes nothing. Implemented where the events lie. */
export interface LedgerCheck {
  verify(task: VerifyTask, onProgress?: (progress: Progress) => void): Promise<VerifyReport>;
  /** Random, the same for the whole life of the ledger. Throws `ledger_unavailable` if there is none. */
  id(): Promise<string>;
  notes(): Promise<LedgerNotes>;
  /** Stores notes, each replacing the one before. Working state: losing it loses no history. */
  note(notes: Partial<LedgerNotes>): Promise<void>;
  /** For work that one of several processes shall do: true for one caller until then. Epoch milliseconds. */
  claim(span: { now: number; until: number }): Promise<boolean>;
}

/** What is remembered about verifications and anchors. */
export interface LedgerNotes {
  verification: VerificationNote | null;
  /** The last state that was verified without a finding, signed, with what is needed to go on from it. */
  verified: { checkpoint: Checkpoint; frontier: Frontier } | null;
  anchor: AnchorNote | null;
  anchor_problem: AnchorProblem | null;
}

const MAX_LISTED = 1_000;

/** Collects with bounded memory: the first ones are kept, all are counted. */
export interface Collector<T> {
  add(item: T): void;
  list: T[];
  total(): number;
}

export function createCollector<T>(): Collector<T> {
  const list: T[] = [];
  let total = 0;
  return {
    add(item) {
      total += 1;
      if (list.length < MAX_LISTED) list.push(item);
    },
    list,
    total: () => total,
  };
}
