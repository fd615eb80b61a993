import type { ProcessIdentity } from '../shared/ports.ts';
import type { RunEvent } from './action-run.ts';

/**
 * How far a run's report to a Polycrate API is. `waiting`: nothing of it is there. `started`: an open record is there.
 * `one_shot`: it is reported as a whole when it is over. `dead`: given up until an operator asks for another try.
 */
export type SubmissionPhase = 'waiting' | 'started' | 'one_shot' | 'dead';

/** What writes at the API, each a request whose answer may be lost. */
export type SubmissionStep = 'start' | 'finish' | 'report';

export interface SubmissionState {
  phase: SubmissionPhase;
  /** `NOT_DUE`: when the run goes on. */
  due_at: number;
  /** The record at the API, once there is one. */
  remote: { id: string; url: string | null } | null;
  /** Sent without an answer: it has to be looked for before it is repeated. `at`: when it was sent first. */
  unsure: { step: SubmissionStep; at: number } | null;
  attempts: number;
  problem: string | null;
  /** Somebody else's record that was in the way. */
  conflict: string | null;
}

/** One run that is to be reported, stored together with its intent and gone when it is delivered. */
export interface Submission extends SubmissionState {
  run_id: string;
  /** Name of the API. */
  endpoint: string;
  created_at: number;
  /** Who delivers it right now; null: nobody. */
  owner: ProcessIdentity | null;
  lease_until: number;
  fence: number;
}

/** Beyond any time. */
export const NOT_DUE = Number.MAX_SAFE_INTEGER;

export const NEW_SUBMISSION: SubmissionState = {
  phase: 'waiting',
  due_at: NOT_DUE,
  remote: null,
  unsure: null,
  attempts: 0,
  problem: null,
  conflict: null,
};

export interface OutboxStanding {
  /** Not delivered yet, for an open run or because the API is away. */
  waiting: number;
  dead: number;
  /** When the oldest of them was requested. */
  oldest_at: number | null;
}

export type SubmissionGuard = Pick<Submission, 'run_id' | 'fence'>;

/** Reports that are still to be delivered. What a method resolved with is durable. */
export interface Outbox {
  /** Those for these APIs whose time has come, the longest first, whoever holds them. */
  due(now: number, limit: number, endpoints: readonly string[]): Promise<Submission[]>;
  list(limit: number): Promise<Submission[]>;
  find(run_id: string): Promise<Submission | null>;
  /** Takes one to deliver it, noting what is about to be sent. Null: somebody was faster. */
  take(
    seen: SubmissionGuard,
    by: { owner: ProcessIdentity; lease_until: number; unsure: SubmissionState['unsure'] },
  ): Promise<Submission | null>;
  /**
   * Lets go of it in a new state (null: delivered), and appends what is to be recorded, in one transaction.
   * False: somebody else holds it by now, and nothing was stored.
   */
  settle(guard: SubmissionGuard, next: SubmissionState | null, event: RunEvent | null): Promise<boolean>;
  /** Brings dead ones back, these or all. Answers how many. */
  retry(run_ids: readonly string[] | null, now: number): Promise<number>;
  standing(): Promise<OutboxStanding>;
}
