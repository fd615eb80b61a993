import type { ProcessIdentity } from '../shared/ports.ts';
import type { ActionRun, RunEvent } from './action-run.ts';
import type { ExecutorKind } from './executor.ts';
import type { CallsEvent } from './trail-event.ts';

/** The right and the duty to supervise one run. The fence grows with every taker; stale ones cannot write. */
export interface Lease {
  run_id: string;
  owner: ProcessIdentity;
  fence: number;
  executor: ExecutorKind;
  /** `launching`: nothing started yet. `running`: `ref` is set. `cleanup`: ended, leftovers to remove. */
  phase: 'launching' | 'running' | 'cleanup';
  ref: string | null;
  /** Epoch ms; past it a lease of a process nobody can see may be taken. 0: given up on purpose. */
  expires_at: number;
  /** The execution must not last longer than this, counted from its start; null: no limit. */
  timeout_ms: number | null;
  cancel_requested: boolean;
}

export interface LeaseGuard {
  run_id: string;
  fence: number;
}

export interface IntentRequest {
  /** `run_requested`, with the whole initial record. */
  event: RunEvent;
  lease: Omit<Lease, 'fence' | 'cancel_requested'>;
  idempotency: { scope: string; key: string; arguments_digest: string; valid_ms: number } | null;
  /** Without such a key: the call that this is, until `teller` has told its caller the run's id (untold.ts). */
  untold: { call: string; teller: ProcessIdentity; valid_ms: number } | null;
  /** Refuse while another run of the same block in the same workspace is open. */
  exclusive: boolean;
  /** Single-use mark of a human's answer: burnt in the same transaction, refused if it was burnt before. */
  burn: { nonce: string; expires_at: number } | null;
  /** Calls up to this one, stored before the intent in the same transaction; null: none are recorded. */
  calls: CallsEvent | null;
}

export type Intent =
  | { outcome: 'stored'; run: ActionRun; fence: number }
  | { outcome: 'replayed'; run: ActionRun; age_ms: number }
  | { outcome: 'key_reused'; run_id: string; expired: boolean }
  | { outcome: 'active'; run_id: string }
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
  /** Stores the intent before anything executes, atomically with lease, idempotency key and burnt answer. */
  request(intent: IntentRequest): Promise<Intent>;
  /** The run an idempotency key stands for, without storing anything; null if the key is new. */
  replay(idempotency: NonNullable<IntentRequest['idempotency']>, now: number): Promise<Replay | null>;
  /**
   * Appends and returns the record after it. With a guard: only while that fence holds (`lease_lost`).
   * An event that would change a closed run, other than an alias, is dropped and the closed record returned.
   */
  append(event: RunEvent, guard?: LeaseGuard, lease?: LeaseChange): Promise<ActionRun>;
  /** By id or by any alias, or by an unambiguous prefix of an id of at least 8 characters. */
  find(id: string): Promise<ActionRun | null>;
  status(): Promise<LedgerStatus>;
  /** Nothing is verified here. Without events (a run of another source) null. */
  proof(run_id: string): Promise<RunProof | null>;
  /** Secret key of this ledger for keyed digests; created on first use. */
  key(): Promise<Uint8Array>;
}

/** `release` ends the lease altogether; otherwise phase and ref move on in the event's own transaction. */
export type LeaseChange = { release: true } | { phase: Lease['phase']; ref: string | null };

export interface RunLeases {
  /** All leases, of every process. */
  list(): Promise<Lease[]>;
  /** Prolongs this owner's leases and answers them as they are now, with cancel requests. */
  renew(owner: ProcessIdentity, expires_at: number): Promise<Lease[]>;
  /** Takes a lease if its fence is still the one that was seen; null: somebody was faster. */
  take(seen: LeaseGuard, owner: ProcessIdentity, expires_at: number): Promise<Lease | null>;
  /** Hands a lease back so that any process may take it at once, or deletes it when all is done. */
  give(guard: LeaseGuard, how: 'release' | 'delete'): Promise<void>;
}

/** Resolves when the ledger may have changed for this reader, at the latest after `max_ms`. */
export interface LedgerWatch {
  changed(max_ms: number, signal?: AbortSignal): Promise<void>;
}
