import type { Decision } from '../actions/policy.ts';
import type { Asker } from '../actions/policy-rules.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { addressOf } from '../workspaces/workspace.ts';
import type { ActionRun, RecordedStep } from './action-run.ts';
import { covers } from './approval.ts';
import { beyondClient } from './ask-approval.ts';
import { stepIntentOf } from './intent.ts';
import { prepare, redactionsOf } from './prepare.ts';
import { reportedTo } from './request.ts';
import { launch, type StartPorts } from './start.ts';

/** Who asked for a recorded run, as far as it was not erased. */
export function askerOf(run: ActionRun, trigger: Asker['trigger']): Asker {
  const principal = run.principal ?? ERASED;
  return { principal, roles: run.requester_roles ?? [], client: run.client ?? null, trigger };
}

/** Nobody whom a rule could name. */
const ERASED: Asker['principal'] = { kind: 'os', issuer: null, subject: '(erased)', display: '(erased)' };

/** With the workflow, and by those whom the rule of the step wants. */
export function isApproved({ approved_at, approval_request }: ActionRun, decision: Decision): boolean {
  const terms = beyondClient(decision);
  if (!approved_at) return false;
  return terms === null || (approval_request !== undefined && covers(approval_request, terms));
}

interface StepStart {
  parent: ActionRun;
  step: RecordedStep;
  /** It must be what was agreed to, by its digest. */
  agreed: boolean;
}

/** Plans a step again, records it as a run of its own, and starts it. Answers why it was not, or null. */
export async function startStep(ports: StartPorts, { parent, step, agreed }: StepStart): Promise<string | null> {
  const { ledger } = ports.supervision;
  try {
    const workspace = addressOf({ organization: parent.organization, name: parent.workspace });
    const { plan, decision, engine } = await prepare(ports, {
      workspace,
      block: step.reference,
      action: step.action,
      asker: askerOf(parent, 'workflow'),
    });
    if (agreed && plan.digest !== step.plan_digest) {
      return 'plan_changed: files, image or settings are not what was agreed to';
    }
    if (decision.decision === 'deny') return `${decision.rule}: ${decision.why}`;
    if (engine) return engine.message;
    if (decision.decision === 'approve' && !isApproved(parent, decision)) return `no human has approved it (${decision.rule})`;
    const redactions = await redactionsOf(ports, plan);
    const submission = await reportedTo(ports, plan);
    const intent = stepIntentOf(ports, { parent, step, plan, decision, submission });
    let stored = await ledger.request(intent);
    // The run in the way was an orphan; if it is closed by now, this one may go.
    if (stored.outcome === 'active' && (await ports.supervisor.recover()) > 0) stored = await ledger.request(intent);
    if (stored.outcome === 'active') return `run ${stored.run_id} of block ${step.block} is still open`;
    if (stored.outcome === 'limited') return `the rule ${stored.rule} allows ${stored.most} (${stored.what})`;
    // Started by another supervisor of this workflow: it is followed, and not started again.
    if (stored.outcome !== 'stored') return null;
    const guard = { run_id: stored.run.id, fence: stored.fence };
    await launch(ports, { plan, redactions, guard, pinned: agreed });
    return null;
  } catch (error) {
    // Whether it was recorded is not known: its supervisor looks again.
    if (error instanceof AppError && error.code === 'ledger_unavailable') throw error;
    return ports.redaction.text(messageOf(error));
  }
} // prettier-ignore
