import {
  buildWorkflowPlan,
  decideWorkflow,
  type StepPlan,
  type WorkflowPlan,
} from '../actions/workflow-plan.ts';
import type { Decision } from '../actions/policy.ts';
import type { Asker } from '../actions/policy-rules.ts';
import { AppError } from '../shared/errors.ts';
import { findWorkflow, findWorkspace } from '../workspaces/find.ts';
import { addressOf } from '../workspaces/workspace.ts';
import { admit } from './admit.ts';
import { askApproval } from './ask-approval.ts';
import { workflowIntentOf } from './intent.ts';
import { prepare, type PreparePorts } from './prepare.ts';
import { earlierStart, samenessOf, settled, storeIntent, told } from './request.ts';
import type { Start, StartPorts, StartRequest } from './start.ts';

export interface WorkflowTarget {
  workspace: string;
  workflow: string;
  timeout_seconds?: number | undefined;
}

export interface PreparedWorkflow {
  plan: WorkflowPlan;
  decision: Decision;
  /** Set where the engine could not be asked; then nothing can be launched. */
  engine: AppError | null;
}

/** Finds the workflow and plans all its steps from the files as they are now. Reads only. */
export async function prepareWorkflow(
  ports: PreparePorts,
  target: WorkflowTarget & { asker: Asker },
): Promise<PreparedWorkflow> {
  const workspace = findWorkspace(await ports.store.list(), target.workspace);
  const workflow = findWorkflow(workspace, target.workflow);
  if (workflow.problem !== null) {
    throw new AppError('broken_definition', `workflow ${workflow.name} cannot be run: ${workflow.problem}`, {
      next: 'mend workspace.poly, then call plan_action again',
    });
  }
  const steps: StepPlan[] = [];
  let engine: AppError | null = null;
  for (const { name, block, action, prompt } of workflow.steps) {
    const prepared = await prepare(ports, {
      workspace: addressOf(workspace),
      block,
      action,
      asker: target.asker,
    });
    steps.push({ name, reference: block, prompt, plan: prepared.plan, decision: prepared.decision });
    engine ??= prepared.engine;
  }
  const timeout_ms = target.timeout_seconds === undefined ? null : target.timeout_seconds * 1000;
  const plan = buildWorkflowPlan({ workspace, workflow, steps, timeout_ms });
  return { plan, decision: decideWorkflow(plan), engine };
}

export interface WorkflowRequest
  extends
    WorkflowTarget,
    Pick<
      StartRequest,
      'reason' | 'idempotency_key' | 'plan_digest' | 'caller' | 'consent' | 'desk' | 'telling' | 'entry'
    > {}

/** Plans every step, asks once about all of them, records the workflow, and then conducts it step by step. */
export async function startWorkflow(ports: StartPorts, asked: WorkflowRequest): Promise<Start> {
  const { plan, decision, engine } = await prepareWorkflow(ports, { ...asked, asker: { ...asked.caller, trigger: 'workflow' } });
  const reason = asked.reason === undefined ? asked.reason : ports.redaction.text(asked.reason);
  const request = { ...asked, reason };
  const { plan_digest, timeout_seconds } = request;
  const sameness = samenessOf(ports, request, {
    workspace: plan.workspace,
    arguments: { workflow: plan.workflow.name, reason, plan_digest, timeout_seconds },
  });
  const earlier = await earlierStart(ports, request, sameness);
  if (earlier) return earlier;
  const steps = plan.steps.map((step) => step.decision);
  const terms = await admit(ports, request, { digest: plan.digest, decision, steps });
  if (engine) throw engine;
  const byClient = decision.decision === 'approve' && !terms;
  if (byClient && request.consent?.plan_digest !== plan.digest) {
    return { outcome: 'approval_needed', plan, decision };
  }
  const consent = byClient ? request.consent : null;
  const waits = terms !== null;
  const intent = workflowIntentOf(ports, { request, plan, decision, sameness, consent, waits });
  const stored = await storeIntent(ports, request, intent);
  if (stored.outcome !== 'stored') return settled(stored, 'workflow');
  const guard = { run_id: stored.run.id, fence: stored.fence };
  if (terms) {
    const run = await askApproval(ports, guard, { plan, decision, terms, alone: true, drift: [] });
    ports.approvals.watch();
    return told(request, sameness, { outcome: 'started', run });
  }
  const started = told(request, sameness, { outcome: 'started', run: stored.run });
  void ports.supervisor.conduct(
    guard,
    { timeout_ms: plan.timeout_ms, agreed: consent !== null || plan_digest !== undefined },
  );
  return started;
} // prettier-ignore
