import { keyOf, may, type Identity, type Principal } from '../access/identity.ts';
import type { ApprovalTerms } from '../actions/policy-rules.ts';
import { STRENGTHS, type Strength } from '../actions/strength.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ActionRun, RunEvent } from './action-run.ts';

// A run that a rule keeps until others agree: what is asked for, and who agreed.

/** What counts, of several answers, or of the one that the requester's client gave. */
export interface Approval {
  outcome: 'approved' | 'declined';
  strength: Strength;
  /** Missing: erased. */
  by?: string;
  at: number;
  person?: string | null;
  reason?: string | null;
}

/** Who answered, with the person that the operator's file says that it is. */
export interface Approver extends Principal {
  person: string | null;
}

/** One answer to a request. */
export interface GivenAnswer {
  outcome: Approval['outcome'];
  strength: Strength;
  at: number;
  /** Missing: erased. */
  principal?: Approver;
  reason?: string | null;
}

/** What a run waits for: a new one, with a new nonce, whenever its plan or its rule changed. Times by the clock of `RunLeases.now`. */
export interface ApprovalRequest extends Omit<ApprovalTerms, 'expires_ms'> {
  nonce: string;
  plan_digest: string;
  rule: string;
  why: string;
  asked_at: number;
  expires_at: number;
  /** Why it is asked once more; null: it is the first time. */
  again: string | null;
  /** The plan in words, as whoever answers is shown it. */
  shown: string[];
  /** What differs from what it is compared with: the past run, or what was asked before. */
  drift: string[];
  /** How it is planned again. */
  mode: 'pinned' | 'current' | null;
  /** No other run of its block may be open when it starts. */
  alone: boolean;
}

/** Open, under a rule that wants the agreement of others, and not launched. */
export function isAwaited({ status, launched, approval_request }: ActionRun): boolean {
  return status === 'pending' && !launched && approval_request !== undefined;
}

/** A yes through the requester's own client is not enough. */
export function wantsOthers({ strength, count, role }: ApprovalTerms): boolean {
  return strength !== 'client' || count > 1 || role !== null;
}

/** Two persons have to be told apart. */
export function isTwoPerson({ strength, count }: Pick<ApprovalTerms, 'strength' | 'count'>): boolean {
  return strength === 'other_principal' || count > 1;
}

/** What was asked for is at least what is asked for now. */
export function covers(asked: Omit<ApprovalTerms, 'expires_ms'>, now: ApprovalTerms): boolean {
  return (
    asked.count >= now.count &&
    rank(asked.strength) >= rank(now.strength) &&
    (asked.role === now.role || asked.role === 'admin' || now.role === null)
  );
}

const rank = (strength: Strength): number => STRENGTHS.indexOf(strength);

/** An answer on its way into the ledger. */
export interface Answer {
  run_id: string;
  /** Of the request that was looked at. */
  nonce: string;
  plan_digest: string;
  outcome: Approval['outcome'];
  reason: string | null;
  at: number;
  /** By the clock of `RunLeases.now`, which the request expires by. */
  now: number;
  approver: Pick<Identity, 'principal' | 'roles'>;
  /** `key`: whoever answered has shown a key; `client`: is only the OS user of this terminal. */
  proof: 'client' | 'key';
  /** By the people file; null: nobody knows. */
  person: string | null;
  requester_person: string | null;
}

export type Refusal =
  | 'unknown' | 'closed' | 'superseded' | 'decided' | 'expired' | 'role' | 'requester' | 'unmapped' | 'requester_unmapped'
  | 'too_weak' | 'answered'; // prettier-ignore

export type Judged = { event: RunEvent } | { refused: Refusal };

/** Pure, and asked in the transaction that stores the answer: two of them cannot both decide. */
export function judgeAnswer(run: ActionRun | null, answer: Answer): Judged {
  const request = run?.approval_request;
  if (!run || !request) return { refused: 'unknown' };
  if (run.status !== 'pending' || run.launched) return { refused: 'closed' };
  if (request.nonce !== answer.nonce || request.plan_digest !== answer.plan_digest) {
    return { refused: 'superseded' };
  }
  if (run.approved_at !== null) return { refused: 'decided' };
  if (answer.now >= request.expires_at) return { refused: 'expired' };
  if (!may(answer.approver, request.role ?? 'approver')) return { refused: 'role' };
  if (answer.outcome === 'declined') return { event: answered(answer, { strength: strengthOf(answer), ends: DECLINED }) };
  const refused = refusal(run, request, answer);
  if (refused) return { refused };
  const enough = agreedTo(run) + 1 >= request.count;
  return { event: answered(answer, { strength: strengthOf(answer), ends: enough ? { approved_at: answer.at } : null }) };
} // prettier-ignore

const DECLINED: JsonObject = {
  status: 'cancelled',
  status_reason: 'declined: whoever had to approve it said no',
};

function refusal(run: ActionRun, request: ApprovalRequest, answer: Answer): Refusal | null {
  const { principal } = answer.approver;
  const same = answer.person !== null && answer.person === answer.requester_person;
  if (same || (run.principal && keyOf(run.principal) === keyOf(principal))) return 'requester';
  if (isTwoPerson(request)) {
    if (answer.person === null) return 'unmapped';
    if (answer.requester_person === null) return 'requester_unmapped';
  }
  if (rank(strengthOf(answer)) < rank(request.strength)) return 'too_weak';
  return run.approvals?.some(({ principal: earlier }) => earlier && isSame(earlier, answer)) ? 'answered' : null;
} // prettier-ignore

function isSame(earlier: Approver, { approver, person }: Answer): boolean {
  return keyOf(earlier) === keyOf(approver.principal) || (person !== null && earlier.person === person);
}

/** Those of whom nobody knows any more who they were count no more: they might answer twice. */
export function agreedTo({ approvals = [] }: ActionRun): number {
  return approvals.filter(({ outcome, principal }) => outcome === 'approved' && principal !== undefined)
    .length;
}

function strengthOf({ proof, person, requester_person }: Answer): Strength {
  if (proof === 'client') return 'client';
  return person !== null && requester_person !== null && person !== requester_person
    ? 'other_principal'
    : 'key';
}

function answered(answer: Answer, { strength, ends }: { strength: Strength; ends: JsonObject | null }): RunEvent {
  const { run_id, at, nonce, plan_digest, outcome, approver, person, reason } = answer;
  const over: JsonObject = ends && 'status' in ends ? { finished_at: at } : {};
  return {
    kind: 'run_approval_answered',
    run_id,
    at,
    facts: { nonce, plan_digest, outcome, strength, ...(ends && { decides: { ...ends, ...over } }) },
    private: { principal: { ...approver.principal, person }, reason },
  };
} // prettier-ignore

/** What the record says after an answer. */
export function foldAnswer(run: ActionRun, { at, facts, private: own }: RunEvent): ActionRun {
  const principal = own['principal'] as unknown as Approver | undefined;
  const { outcome, strength } = facts as unknown as GivenAnswer;
  const reason = own['reason'] as string | null | undefined;
  const given: GivenAnswer = {
    outcome,
    strength,
    at,
    ...(principal !== undefined && { principal }),
    ...(reason !== undefined && { reason }),
  };
  run.approvals = [...(run.approvals ?? []), given];
  const decides = facts['decides'] as JsonObject | undefined;
  if (!decides) return run;
  const record = run as unknown as JsonObject;
  for (const [name, value] of Object.entries(decides)) record[name] = value;
  record['approval'] = {
    outcome,
    strength,
    at,
    ...(principal !== undefined && { by: principal.display, person: principal.person }),
    ...(reason !== undefined && { reason }),
  };
  return run;
}
