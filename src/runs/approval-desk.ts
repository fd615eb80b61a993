import { sees, type Identity, type Scope } from '../access/identity.ts';
import type { People } from '../access/people.ts';
import { AppError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { ActionRun } from './action-run.ts';
import { isAwaited, type Answer, type Refusal } from './approval.ts';
import { codeOf, isSameText, linkSeal, normalCode } from './approval-seals.ts';
import type { RunLeases, RunLedger } from './run-ledger.ts';
import type { CallRecorder } from './trail.ts';

/** Where people, not assistants, answer what runs wait for. */
export interface ApprovalDesk {
  /** What waits for an answer and may be seen, the oldest first. */
  waiting(scope: Scope): Promise<ActionRun[]>;
  /** What is shown in a terminal only. */
  code(run: ActionRun): Promise<string | null>;
  /** Throws `unknown_name`. */
  byCode(code: string): Promise<ActionRun>;
  /** Null: it was never handed out, or what it was of was asked once more since. */
  byLink(run_id: string, seal: string): Promise<ActionRun | null>;
  /** Path and query of the page; null: it waits for nobody. */
  link(run: ActionRun): Promise<string | null>;
  /** By the clock that requests expire by. */
  isExpired(run: ActionRun): Promise<boolean>;
  /** Throws `refused`, saying why it does not count. Answers, and refusals, are in the trail. */
  answer(given: DeskAnswer): Promise<ActionRun>;
}

export interface DeskAnswer extends Pick<Answer, 'outcome' | 'proof'> {
  /** As it was looked at. */
  run: ActionRun;
  approver: Identity;
  reason: string | null;
  via: 'terminal' | 'page';
}

export interface DeskPorts {
  ledger: Pick<RunLedger, 'find' | 'answer' | 'key'>;
  leases: Pick<RunLeases, 'list' | 'now'>;
  people(): Promise<People>;
  recorder: CallRecorder;
  redaction: Pick<Redaction, 'text'>;
  store: Pick<WorkspaceStore, 'list'>;
  clock: Clock;
}

export const APPROVALS_PATH = '/approvals';
const MOST_REASON = 1_000;

export function createApprovalDesk(ports: DeskPorts): ApprovalDesk {
  const { ledger, leases } = ports;
  const expired = ({ approval_request: request }: ActionRun, now: number): boolean =>
    !request || now >= request.expires_at;
  const waiting = async (scope: Scope): Promise<ActionRun[]> => {
    const now = await leases.now();
    const held = (await leases.list()).filter(({ executor }) => executor === 'approval');
    const runs = await Promise.all(held.map(({ run_id }) => ledger.find(run_id)));
    return runs
      .filter((run) => run !== null)
      .filter((run) => isAwaited(run) && run.approved_at === null && !expired(run, now) && sees(scope, run))
      .sort((a, b) => a.requested_at - b.requested_at);
  };
  return {
    waiting,
    code: async (run) => codeOf(await ledger.key(), run),
    async byCode(code) {
      const [key, runs] = await Promise.all([ledger.key(), waiting(null)]);
      const wanted = normalCode(code);
      const run = runs.find((candidate) => isSameText(codeOf(key, candidate) ?? '', wanted));
      if (run) return run;
      throw new AppError('unknown_name', 'nothing waits under this code: it was answered, expired, or asked once more', {
        next: 'polycrate-mcp approvals shows what waits, with its code',
      });
    },
    async byLink(run_id, given) {
      const run = await ledger.find(run_id);
      if (!run || run.id !== run_id) return null;
      const right = linkSeal(await ledger.key(), run);
      return right !== null && isSameText(right, given) ? run : null;
    },
    async link(run) {
      const sig = isAwaited(run) ? linkSeal(await ledger.key(), run) : null;
      return sig && `${APPROVALS_PATH}/${run.id}?sig=${sig}`;
    },
    isExpired: async (run) => expired(run, await leases.now()),
    answer: (given) => answer(ports, given),
  };
} // prettier-ignore

async function answer(ports: DeskPorts, given: DeskAnswer): Promise<ActionRun> {
  const { run, approver, outcome, via } = given;
  // A process that has only this to do has not read yet what a reason must not say.
  if (given.reason !== null) await ports.store.list();
  const reason = given.reason && ports.redaction.text(given.reason).slice(0, MOST_REASON);
  const tool = outcome === 'approved' ? 'approve' : 'deny';
  const entry = ports.recorder.begin({
    tool,
    given: { run_id: run.id, via, ...(reason && { reason }) },
    caller: { principal: approver.principal, roles: approver.roles, client: null },
  });
  try {
    const after = await store(ports, { ...given, reason });
    await entry.end({ outcome, run_id: run.id, reads: false });
    return after;
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'internal';
    await entry.end({ outcome: code === 'refused' ? 'refused' : 'failed', code, run_id: run.id, reads: false });
    throw error;
  }
} // prettier-ignore

async function store(ports: DeskPorts, { run, approver, outcome, proof, reason }: DeskAnswer): Promise<ActionRun> {
  const request = run.approval_request;
  const people = await ports.people();
  if (!request || !sees(approver.scope, run)) throw refused('unknown', run);
  const answered = await ports.ledger.answer({
    ...{ run_id: run.id, outcome, proof, reason, approver },
    nonce: request.nonce,
    plan_digest: request.plan_digest,
    at: ports.clock.now(),
    now: await ports.leases.now(),
    person: people.personOf(approver.principal),
    requester_person: run.principal ? people.personOf(run.principal) : null,
  });
  if ('refused' in answered) throw refused(answered.refused, run);
  return answered.run;
} // prettier-ignore

function refused(why: Refusal, { approval_request: request }: ActionRun): AppError {
  const role = request?.role ?? 'approver';
  const says: Record<Refusal, string> = {
    unknown: 'nothing that you may see waits for this answer',
    closed: 'this run waits no more',
    superseded: 'what would run has changed, and was asked for once more: look at it again',
    decided: 'this run has been approved already: one approval starts one run',
    expired: 'it was asked for too long ago: the request has expired',
    role: `whoever answers needs the role ${role}`,
    requester: 'nobody approves what they asked for themselves',
    unmapped: 'other persons have to approve this, and the people file does not say which person you are',
    requester_unmapped: 'other persons have to approve this, and the people file does not say which person asked for it',
    too_weak: request?.strength === 'other_principal'
      ? 'an API key of another person than the one who asked is needed'
      : 'an API key is needed',
    answered: 'you have approved it already; somebody else has to as well',
  };
  return new AppError('refused', `this does not count: ${says[why]}`, { details: { why } });
} // prettier-ignore
