import type { Plan } from '../actions/plan.ts';
import type { RemotePlan } from '../actions/remote-plan.ts';
import { BY_CLIENT } from '../actions/policy-rules.ts';
import type { Decision } from '../actions/policy.ts';
import type { WorkflowPlan } from '../actions/workflow-plan.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { addressOf } from '../workspaces/workspace.ts';
import type { ActionRun } from './action-run.ts';
import { covers } from './approval.ts';
import { askApproval, beyondClient } from './ask-approval.ts';
import { driftBetween, type Drift } from './drift.ts';
import { isAlone, plannedAnew } from './intent.ts';
import { prepare, redactionsOf, type Target } from './prepare.ts';
import { prepareRemote } from './remote.ts';
import { withRetrigger } from './retrigger.ts';
import type { Lease } from './run-ledger.ts';
import { askerOf } from './start-step.ts';
import { endUnstarted, launch, type StartPorts } from './start.ts';
import { findRun } from './wait.ts';
import { prepareWorkflow } from './workflow.ts';

interface Planned {
  plan: Plan | WorkflowPlan | RemotePlan;
  decision: Decision;
  engine: AppError | null;
  /** From the past run that is run again, or from what was asked before. */
  drift: readonly Drift[];
}

/**
 * What becomes of a run whose lease we hold: launched if what was agreed to is what would run, asked once more if it is
 * something else, or closed. False: not now.
 */
export async function goOn(ports: StartPorts, lease: Lease, run: ActionRun): Promise<boolean> {
  try {
    return await withPlan(ports, lease, run, (planned) => decide(ports, { lease, run, planned }));
  } catch (error) {
    if (!(error instanceof AppError) || PASSING.includes(error.code)) throw error;
    await endUnstarted(ports, lease, `not launched: ${ports.redaction.text(messageOf(error))}`);
    return true;
  }
}

/** What may be mended before the approval expires. */
const PASSING: readonly AppError['code'][] = [
  'engine_unavailable',
  'ledger_unavailable',
  'api_unavailable',
  'lease_lost',
  'internal',
];

interface Going {
  lease: Lease;
  run: ActionRun;
  planned: Planned;
}

async function decide(ports: StartPorts, going: Going): Promise<boolean> {
  const { lease, run, planned } = going;
  const { plan, decision, engine } = planned;
  const request = run.approval_request;
  if (decision.decision === 'deny') {
    await endUnstarted(ports, lease, `denied by now (${decision.rule}): ${decision.why}`, 'cancelled');
    return true;
  }
  const needed = decision.decision === 'approve' ? (decision.approval ?? BY_CLIENT) : null;
  const again = !request
    ? undefined
    : request.plan_digest !== plan.digest
      ? 'what would run is not what was asked for any more'
      : needed && !covers(request, needed)
        ? 'the rule asks for more than before'
        : null;
  if (again === null) return engine ? false : await launchApproved(ports, going);
  // A rule that became looser takes nothing back from what was asked for.
  const asked = request && { ...request, expires_ms: request.expires_at - request.asked_at };
  const terms = needed && (!asked || !covers(asked, needed)) ? (beyondClient(decision) ?? needed) : (asked ?? BY_CLIENT);
  await askApproval(ports, lease, {
    ...{ plan, decision, terms, drift: planned.drift },
    alone: request?.alone ?? isAlone({}, decision),
    mode: request?.mode ?? null,
    ...(again !== undefined && { again }),
    changed: plannedAnew(ports, plan, decision),
  });
  return true;
} // prettier-ignore

async function launchApproved(ports: StartPorts, { lease, run, planned: { plan } }: Going): Promise<boolean> {
  const { leases } = ports.supervision;
  const alone = run.approval_request!.alone;
  if ('steps' in plan) {
    if (await leases.promote(lease, { executor: 'workflow', alone })) return false;
    void ports.supervisor.conduct(lease, { timeout_ms: lease.timeout_ms, agreed: true });
    return true;
  }
  if ('endpoint' in plan) return await launchRemote(ports, { lease, alone, plan });
  const redactions = await redactionsOf(ports, plan);
  if (await leases.promote(lease, { executor: ports.executor.kind, alone })) return false;
  await launch(ports, { plan, redactions, guard: lease, pinned: true });
  return true;
}

async function launchRemote(ports: StartPorts, { lease, alone, plan }: { lease: Lease; alone: boolean; plan: RemotePlan }): Promise<boolean> {
  try {
    await ports.remote.refuseBeside(plan);
  } catch (error) {
    // What is in the way there ends some time.
    if (error instanceof AppError && error.code === 'already_active') return false;
    throw error;
  }
  if (await ports.supervision.leases.promote(lease, { executor: 'remote', alone })) return false;
  void ports.supervisor.follow(lease);
  return true;
} // prettier-ignore

/** Plans a recorded run as it was planned when it was asked for; what a plan is made from may be lent. */
async function withPlan<T>(
  ports: StartPorts,
  { timeout_ms }: Lease,
  run: ActionRun,
  use: (planned: Planned) => Promise<T>,
): Promise<T> {
  const workspace = addressOf({ organization: run.organization, name: run.workspace });
  const timeout_seconds = timeout_ms === null ? undefined : timeout_ms / 1000;
  if (run.kind === 'workflow') {
    const asker = askerOf(run, 'workflow');
    const target = { workspace, workflow: run.workflow!, timeout_seconds, asker };
    return await use({ ...(await prepareWorkflow(ports, target)), drift: [] });
  }
  if (run.retrigger_of === null) {
    const target: Target = { workspace, block: run.block!, action: run.action!, timeout_seconds, asker: askerOf(run, 'mcp') };
    const planned = await prepare(ports, target);
    return await use({ ...planned, drift: driftBetween(run, planned.plan) });
  }
  const asker = askerOf(run, 'retrigger');
  if (run.executor?.kind === 'remote') {
    const past = await findRun(ports.supervision.ledger, run.retrigger_of);
    return await use({ ...(await prepareRemote(ports, past, asker)), engine: null });
  }
  const mode = run.approval_request?.mode ?? 'pinned';
  return await withRetrigger(ports, { run_id: run.retrigger_of, mode, asker }, async ({ drift, target }) => {
    if (mode === 'pinned' && drift.length > 0) {
      throw new AppError('plan_changed', 'it was to be run as it was, and that is not there any more');
    }
    return await use({ ...(await prepare(ports, { ...target, timeout_seconds })), drift });
  });
} // prettier-ignore
