import { randomBytes } from 'node:crypto';
import type { Plan } from '../actions/plan.ts';
import type { RemotePlan } from '../actions/remote-plan.ts';
import type { Decision } from '../actions/policy.ts';
import { BY_CLIENT, type ApprovalTerms } from '../actions/policy-rules.ts';
import type { WorkflowPlan } from '../actions/workflow-plan.ts';
import { AppError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ActionRun } from './action-run.ts';
import { isTwoPerson, wantsOthers, type ApprovalRequest } from './approval.ts';
import type { Drift } from './drift.ts';
import { questionOf } from './question.ts';
import type { LeaseGuard } from './run-ledger.ts';
import type { Caller, StartPorts } from './start.ts';

/** What the requester's client cannot give; null: it can, or nobody has to agree. */
export function beyondClient({ decision, approval = BY_CLIENT }: Decision): ApprovalTerms | null {
  return decision === 'approve' && wantsOthers(approval) ? approval : null;
}

/** What it waits for; null: nobody has to agree, or the requester's client asks its user. */
export function awaitedTerms(decision: Decision, { desk }: { desk?: boolean | undefined }): ApprovalTerms | null {
  const instead = desk === true && decision.decision === 'approve' ? (decision.approval ?? BY_CLIENT) : null;
  return beyondClient(decision) ?? instead;
} // prettier-ignore

/** What nobody could ever approve is not asked for. */
export async function refuseUnapprovable(
  { policy }: Pick<StartPorts, 'policy'>,
  { rule }: Decision,
  { terms, caller }: { terms: ApprovalTerms; caller: Caller },
): Promise<void> {
  if (!isTwoPerson(terms) || (await policy.people()).personOf(caller.principal) !== null) return;
  throw new AppError(
    'approval_unavailable',
    `not run (${rule}): other persons have to approve it, and nobody knows which person you are`,
    {
      next: `the operator can name ${caller.principal.kind}:${caller.principal.subject} in the people file (POLYCRATE_MCP_PEOPLE)`,
    },
  );
}

export interface Asking {
  plan: Plan | WorkflowPlan | RemotePlan;
  decision: Decision;
  terms: ApprovalTerms;
  alone: boolean;
  mode?: ApprovalRequest['mode'];
  drift: readonly Drift[];
  again?: string;
  /** Members of the record that are of the plan, where it is another one than before. */
  changed?: JsonObject;
}

/** Says what the run waits for, and lets go of it: whoever sees that enough agreed goes on. */
export async function askApproval(ports: StartPorts, guard: LeaseGuard, asking: Asking): Promise<ActionRun> {
  const { plan, decision, terms, alone, mode = null, again = null, changed = {} } = asking;
  const { ledger, leases } = ports.supervision;
  const [at, now] = [ports.clock.now(), await leases.now()];
  const { text } = ports.redaction;
  const { count, role, strength, expires_ms } = terms;
  const request: ApprovalRequest = {
    ...{ count, role, strength, alone, mode, again },
    nonce: randomBytes(16).toString('hex'),
    plan_digest: plan.digest,
    rule: decision.rule,
    why: text(decision.why),
    asked_at: now,
    expires_at: now + expires_ms,
    shown: shownOf(ports, { plan, decision }),
    drift: asking.drift.map((one) => text(said(one))),
  };
  const facts = { ...changed, approval_request: { ...request }, approvals: [], approval: null, approved_at: null };
  const run = await ledger.append({ kind: 'run_approval_asked', run_id: guard.run_id, at, facts, private: {} }, guard);
  await leases.give(guard, 'release');
  return run;
} // prettier-ignore

/** The lines of the question that a client's user is asked, without the question itself. */
function shownOf(ports: StartPorts, about: Pick<Asking, 'plan' | 'decision'>): string[] {
  const [, ...lines] = questionOf('', about, ports.redaction).split('\n');
  const first = 'steps' in about.plan ? about.plan.steps[0]?.plan : about.plan;
  const git = first && 'git' in first ? first.git : null;
  const commit = git?.commit
    ? [`Commit: ${git.commit.slice(0, 12)}${git.dirty ? ', with changes' : ''}`]
    : [];
  return [...lines.filter((line) => line !== ''), ...commit];
}

function said({ what, recorded, now, keys }: Drift): string {
  const which = keys && keys.length > 0 ? ` (${keys.join(', ')})` : '';
  return `${what}${which}: ${recorded ?? 'none'} → ${now ?? 'none'}`;
}
