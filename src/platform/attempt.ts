import type { Submission, SubmissionState, SubmissionStep } from '../runs/outbox.ts';
import { messageOf } from '../shared/errors.ts';
import { ApiError, type ApiFault } from './api-error.ts';
import { SETTLE_MS, stateOf } from './deliver.ts';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 10 * 60_000;

/** Nobody but a human can help: the same request would be refused again. */
const FINAL: readonly ApiFault[] = ['invalid', 'not_found', 'conflict'];
/** Rights may be given later, without anybody telling us; so often it is worth asking. */
const FORBIDDEN_ATTEMPTS = 12;

export interface Failed {
  submission: Submission;
  /** Before this attempt. */
  before: SubmissionState['unsure'];
  /** The request that was sent, if one was. */
  sent: SubmissionStep | null;
  error: unknown;
  now: number;
  /** Below 1. */
  random: number;
  settle_ms?: number;
}

/** The state of a report after a step that failed. */
export function afterFailure(failed: Failed): SubmissionState {
  const { submission, before, sent, error, now, random, settle_ms = SETTLE_MS } = failed;
  const fault = error instanceof ApiError ? error.fault : null;
  const attempts = submission.attempts + 1;
  const mayHaveArrived = sent !== null && (!(error instanceof ApiError) || error.unsure);
  const unsure = mayHaveArrived ? { step: sent, at: before?.at ?? now } : sent === null ? before : null;
  const final = fault !== null && (FINAL.includes(fault) || (fault === 'forbidden' && attempts >= FORBIDDEN_ATTEMPTS));
  const asked = error instanceof ApiError ? (error.retry_after_ms ?? 0) : 0;
  const wait = Math.max(pauseAfter(attempts, random), asked, unsure ? settle_ms : 0);
  return {
    ...stateOf(submission),
    phase: final ? 'dead' : submission.phase,
    due_at: now + wait,
    unsure,
    attempts,
    problem: messageOf(error).slice(0, 1_000),
  };
} // prettier-ignore

/** Exponential, with jitter so that many do not come back at once. */
export function pauseAfter(attempts: number, random: number, longest = LONGEST_PAUSE_MS): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(attempts - 1, 20), longest) * (0.75 + random / 2);
}
