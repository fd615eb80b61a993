import type { Subject } from '../actions/policy-rules.ts';
import type { ProcessIdentity } from '../shared/ports.ts';
import type { ActionRun, RunEvent } from './action-run.ts';
import type { Answer, Refusal } from './approval.ts';
import type { ExecutorKind } from './executor.ts';
import type { CallsEvent } from './trail-event.ts';

/**
 * What a supervisor holds: an execution, a workflow that has none of its own, or what a Polycrate API executes (`remote`).
 * `approval`: nothing yet, since others have to agree first; nobody holds it for longer than it takes to look
 * (conduct-approvals.ts).
 */
export type LeaseKind = ExecutorKind | 'workflow' | 'remote' | 'approval';

/** The right and the duty to supervise one run. The fence grows with every taker; stale ones cannot write. */
export interface Lease {
  run_id: string;
  owner: ProcessIdentity;
  fence: number;
  executor: LeaseKind;
  /** `launching`: nothing started (or asked for) yet. `running`: `ref` is set. `cleanup`: ended, leftovers to remove. */
  phase: 'launching' | 'running' | 'cleanup';
  ref: string | null;
  /** By the clock of `RunLeases.now`; past it a lease of a process nobody can see may be taken. 0: given up on purpose. */
  expires_at: number;
  /** The execution must not last longer than this, counted from its start; null: no limit. */
  timeout_ms: number | null;
  cancel_requested: boolean;
}

/**
 * A UUID that names one write, so that it may be sent again where its answer was lost: what is stored under it is
 * answered, and never stored twice.
 */
export type WriteId = string;

export interface LeaseGuard {
  run_id: string;
  fence: number;
}

export interface IntentRequest {
  /** `run_requested`, with the whole initial record. */
  event: RunEvent;
  /** It expires as long after the event as it says, by the clock of `RunLeases.now`. */
  lease: Omit<Lease, 'fence' | 'cancel_requested'>;
  idempotency: { scope: string; key: string; arguments_digest: string; valid_ms: number } | null;
  /** Without such a key: the call that this is, until `teller` has told its caller the run's id (untold.ts). */
  untold: { call: string; teller: ProcessIdentity; valid_ms: number } | null;
  /**
   * Refuse while another run of the same block, or of the same workflow, in the same workspace is open, executed by us or
   * reported to us. One that waits for approval is in the way only of another one that is to wait.
   */
  exclusive: boolean;
  /** Single-use mark of a human's answer: burnt in the same transaction, refused if it was burnt before. */
  burn: { nonce: string; expires_at: number } | null;
  /** What the rule of a policy lets through; counted in the same transaction. */
  quota?: Quota | null;
  /** The Polycrate API that the run is to be reported to (outbox.ts); without it, to none. */
  submission?: { endpoint: string } | null;
  /** What a policy decides about, for a server that decides again about the intent of a runner. Not stored. */
  about?: readonly Subject[];
  /** For whoever may have to send it again. */
  write_id?: WriteId;
  /** Calls up to this one, stored before the intent in the same transaction; null: none are recorded. */
  calls: CallsEvent | null;
}

/** Runs under one rule of a policy, counted by its name. */
export interface Quota {
  rule: string;
  /** Open at once, and asked for within an hour; null: as many as there are. */
  concurrency: number | null;
  per_hour: number | null;
}

export const QUOTA_WINDOW_MS = 60 * 60 * 1000;

export type Intent =
  | { outcome: 'stored'; run: ActionRun; fence: number }
  | { outcome: 'replayed'; run: ActionRun; age_ms: number }
  | { outcome: 'key_reused'; run_id: string; expired: boolean }
  | { outcome: 'active'; run_id: string }
  | { outcome: 'limited'; rule: string; what: 'concurrency' | 'per_hour'; most: number }
  | { outcome: 'burnt' };

/** What an idempotency key that was seen before stands for. */
export type Replay = Extract<Intent, { outcome: 'replayed' | 'key_reused' }>;

export interface VerificationNote {
  at: number;
  result: 'sound' | 'not_provable' | 'tampered';
  /** All events up to this one were looked at, in this verification or in one that it went on from. */
  up_to: number;
  findings: number;
}

/** The newest checkpoint that was handed out. */
export interface AnchorNote {
  at: number;
  size: number;
  /** A path, `git:` and a path, or null if it was printed. */
  place: string | null;
}

/** Why the newest attempt to write one by itself failed. */
export interface AnchorProblem {
  at: number;
  place: string;
  says: string;
}

export interface LedgerStatus {
  /** Random, the same for the whole life of the ledger. */
  id: string;
  kind: 'sqlite' | 'postgres';
  location: string;
  /** Runs by status, all sources. */
  runs: { total: number; open: number };
  events: number;
  newest_at: number | null;
  /** Of the first event that is there. */
  oldest_at: number | null;
  schema: number;
  /** False: this version may read but not launch, because the ledger was written by a newer one. */
  writable: boolean;
  problem: string | null;
  /** The last verification, and the newest checkpoint that was handed out to be kept elsewhere. */
  verification: VerificationNote | null;
  anchor: AnchorNote | null;
  anchor_problem: AnchorProblem | null;
}

/** Where a run stands in the chain. */
export interface RunProof {
  /** Its events, in order. */
  events: { seq: number; hash: string }[];
  /** The newest event of the ledger, under which they are chained. */
  head: { seq: number; hash: string };
  /** The last verification, if it reached the newest of these events. */
  verified: VerificationNote | null;
}

/** Append-only. What a method resolved with is durable; what it rejected did not happen. */
export interface RunLedger {
  /**
   * Stores the intent before anything executes, atomically with lease, idempotency key and burnt answer. A run that
   * is there already, by its id, is `replayed`.
   */
  request(intent: IntentRequest): Promise<Intent>;
  /** The run an idempotency key stands for, without storing anything; null if the key is new. */
  replay(idempotency: NonNullable<IntentRequest['idempotency']>, now: number): Promise<Replay | null>;
  /**
   * Appends and returns the record after it. With a guard: only while that fence holds (`lease_lost`).
   * An event that would change a closed run (`comesTooLate`) is dropped and the closed record returned.
   */
  append(event: RunEvent, guard?: LeaseGuard, lease?: LeaseChange, write_id?: WriteId): Promise<ActionRun>;
  /**
   * For a request, or a lease that was to be taken, of which nobody knows whether it was stored: if it was, its lease is
   * free; if it should still come, it is refused.
   */
  withdraw(write_id: WriteId): Promise<void>;
  /** Stores an answer to what a run waits for if `judgeAnswer` lets it in, in the transaction that judges it. */
  answer(answer: Answer): Promise<{ run: ActionRun } | { refused: Refusal }>;
  /** By id or by any alias, or by an unambiguous prefix of an id of at least 8 characters. */
  find(id: string): Promise<ActionRun | null>;
  status(): Promise<LedgerStatus>;
  /** Nothing is verified here. Without events (a run of another source) null. */
  proof(run_id: string): Promise<RunProof | null>;
  /**
   * Secret key of this ledger; created on first use. `runs`: the one that is made of it for digests of plans and of what
   * runs printed, which runners need too; it tells nothing of the other, which seals approvals.
   */
  key(use?: 'runs'): Promise<Uint8Array>;
}

/** `release` ends the lease altogether; otherwise phase and ref move on in the event's own transaction. */
export type LeaseChange = { release: true } | { phase: Lease['phase']; ref: string | null };

export interface Promotion {
  /** `approval`: back to waiting, since nothing of it has begun. */
  executor: LeaseKind;
  alone: boolean;
}

export interface RunLeases {
  /** Epoch ms by the one clock that all who share the ledger tell expiry by: hosts' own clocks may differ by hours. */
  now(): Promise<number>;
  /** All leases, of every process. */
  list(): Promise<Lease[]>;
  /** Prolongs this owner's leases and answers them as they are now, with cancel requests. */
  renew(owner: ProcessIdentity, expires_at: number): Promise<Lease[]>;
  /** Takes a lease if its fence is still the one that was seen; null: somebody was faster. */
  take(
    seen: LeaseGuard,
    owner: ProcessIdentity,
    expires_at: number,
    write_id?: WriteId,
  ): Promise<Lease | null>;
  /**
   * Turns the lease of a run that waited for approval into one of what it is from now on, or back. `alone`: not while another
   * run of its block or workflow is open, whose id it answers. Throws `lease_lost`.
   */
  promote(guard: LeaseGuard, to: Promotion): Promise<{ active: string } | null>;
  /** Hands a lease back so that any process may take it at once, or deletes it when all is done. */
  give(guard: LeaseGuard, how: 'release' | 'delete'): Promise<void>;
}

/** Resolves when the ledger may have changed for this reader, at the latest after `max_ms`. */
export interface LedgerWatch {
  changed(max_ms: number, signal?: AbortSignal): Promise<void>;
}
