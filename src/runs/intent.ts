import type { Plan } from '../actions/plan.ts';
import type { Decision } from '../actions/policy.ts';
import type { RemotePlan } from '../actions/remote-plan.ts';
import { subjectsOf, type WorkflowPlan } from '../actions/workflow-plan.ts';
import { subjectOf } from '../actions/policy-rules.ts';
import type { JsonObject } from '../shared/json.ts';
import type { ActionRun, RecordedStep } from './action-run.ts';
import { emptyFacts, executorOf, factsOf, ofPlan } from './initial-facts.ts';
import { approvalOf, quotaOf, ruledBy, whole } from './intent-parts.ts';
import type { Sameness } from './request.ts';
import type { IntentRequest } from './run-ledger.ts';
import type { Consent, StartPorts, StartRequest } from './start.ts';

interface IntentParts {
  request: Pick<StartRequest, 'caller' | 'reason' | 'allow_concurrent' | 'trigger' | 'retrigger_of'>;
  plan: Plan;
  decision: Decision;
  sameness: Sameness;
  consent: Consent | null;
  submission: IntentRequest['submission'];
  /** Others have to agree before it is launched. */
  waits: boolean;
}

/** The intent: the whole initial record, with the lease of the process that will launch it. */
export function intentOf(
  ports: StartPorts,
  { request, plan, decision, sameness, consent, submission, waits }: IntentParts,
): IntentRequest {
  const now = ports.clock.now();
  const run_id = ports.ids.next();
  const { trigger, retrigger_of = null } = request;
  return whole(ports, {
    run_id,
    now,
    path: plan.workspace.path,
    facts: {
      ...factsOf(ports, { run_id, now, plan }),
      ...ruledBy(decision, request.caller),
      approved_at: consent && now,
      trigger,
      retrigger_of,
    },
    by: { ...request.caller, reason: request.reason ?? null, approval: approvalOf(consent, now) },
    lease: { executor: waits ? 'approval' : ports.executor.kind, timeout_ms: plan.timeout_ms },
    sameness,
    exclusive: isAlone(request, decision),
    burn: consent && { nonce: consent.nonce, expires_at: consent.expires_at },
    quota: quotaOf(decision),
    submission,
    about: [subjectOf(plan)],
  });
}

/** No other run of its block may be open beside it. */
export function isAlone({ allow_concurrent }: Pick<StartRequest, 'allow_concurrent'>, { lock }: Decision): boolean {
  return allow_concurrent !== true || lock === 'block';
} // prettier-ignore

interface StepIntentParts extends Pick<IntentParts, 'plan' | 'decision' | 'submission'> {
  parent: ActionRun;
  step: RecordedStep;
}

/** One step of a workflow that was asked for and agreed to as a whole; its id was minted with the workflow's. */
export function stepIntentOf(
  ports: StartPorts,
  { parent, step, plan, decision, submission }: StepIntentParts,
): IntentRequest {
  const now = ports.clock.now();
  // Erased fields are missing.
  const { principal = null, client = null, reason = null, approval = null } = parent;
  return whole(ports, {
    run_id: step.run_id,
    now,
    path: plan.workspace.path,
    facts: {
      ...factsOf(ports, { run_id: step.run_id, now, plan }),
      ...ruledBy(decision, null),
      workflow: parent.workflow,
      step: step.name,
      parent: parent.id,
      approved_at: parent.approved_at,
      trigger: 'workflow',
    },
    by: { principal, client, reason, approval },
    lease: { executor: ports.executor.kind, timeout_ms: plan.timeout_ms },
    sameness: { idempotency: null, untold: null },
    exclusive: true,
    burn: null,
    quota: quotaOf(decision),
    submission,
    about: [subjectOf(plan)],
  });
}

interface WorkflowIntentParts {
  request: Pick<StartRequest, 'caller' | 'reason'>;
  plan: WorkflowPlan;
  decision: Decision;
  sameness: Sameness;
  consent: Consent | null;
  waits: boolean;
}

/** The record of a workflow names the runs of its steps before there are any, so that none is started twice. */
export function workflowIntentOf(
  ports: StartPorts,
  { request, plan, decision, sameness, consent, waits }: WorkflowIntentParts,
): IntentRequest {
  const now = ports.clock.now();
  const run_id = ports.ids.next();
  const { workflow, workspace } = plan;
  const steps = stepsOf(ports, plan);
  return whole(ports, {
    run_id,
    now,
    path: workspace.path,
    facts: {
      ...emptyFacts({ run_id, now, plan: plan.steps[0]!.plan }),
      ...ruledBy(decision, request.caller),
      kind: 'workflow',
      workflow: workflow.name,
      approved_at: consent && now,
      trigger: 'mcp',
      plan_digest: plan.digest,
      steps: steps.map((step) => ({ ...step })),
      allow_failure: workflow.allow_failure,
      ...(ports.runner !== null && { executor: executorOf(ports, null) }),
    },
    by: { ...request.caller, reason: request.reason ?? null, approval: approvalOf(consent, now) },
    lease: { executor: waits ? 'approval' : 'workflow', timeout_ms: plan.timeout_ms },
    sameness,
    exclusive: true,
    burn: consent && { nonce: consent.nonce, expires_at: consent.expires_at },
    about: subjectsOf(plan),
  });
}

function stepsOf({ ids }: Pick<StartPorts, 'ids'>, plan: WorkflowPlan): RecordedStep[] {
  return plan.steps.map((step) => ({
    name: step.name,
    block: step.plan.block.name,
    reference: step.reference,
    action: step.plan.action.name,
    run_id: ids.next(),
    plan_digest: step.plan.digest,
    not_run: null,
  }));
}

/** What the record says of its plan, where that is another one than when it was recorded. */
export function plannedAnew(
  ports: StartPorts,
  plan: Plan | WorkflowPlan | RemotePlan,
  decision: Decision,
): JsonObject {
  if ('endpoint' in plan) {
    return { ...ruledBy(decision, null), block_version: plan.block.version, plan_digest: plan.digest };
  }
  const first = 'steps' in plan ? plan.steps[0]!.plan : plan;
  const state = { workspace_commit: first.git?.commit ?? null, workspace_dirty: first.git?.dirty ?? null };
  if ('steps' in plan) {
    const steps = stepsOf(ports, plan).map((step) => ({ ...step }));
    return { ...state, ...ruledBy(decision, null), plan_digest: plan.digest, steps };
  }
  return { ...state, ...ruledBy(decision, null), ...ofPlan(ports, plan) };
}

interface RemoteIntentParts extends Omit<WorkflowIntentParts, 'plan'> {
  /** What is repeated. */
  run: ActionRun;
  plan: RemotePlan;
}

/** A run that a Polycrate API is asked to execute. It is nothing to report to that API: its own record is there. */
export function remoteIntentOf(
  ports: StartPorts,
  { request, run, plan, decision, sameness, consent, waits }: RemoteIntentParts,
): IntentRequest {
  const now = ports.clock.now();
  const run_id = ports.ids.next();
  const { organization, workspace: name, environment, block, action, endpoint, digest } = plan;
  return whole(ports, {
    run_id,
    now,
    path: null,
    facts: {
      ...emptyFacts({
        run_id,
        now,
        plan: { workspace: { organization, name, environment }, git: null, executor: 'remote' },
      }),
      ...ruledBy(decision, request.caller),
      block: block.name,
      block_version: block.version,
      action,
      executor: { kind: 'remote', runner: endpoint, image: null, image_digest: null, container: null },
      plan_digest: digest,
      approved_at: consent && now,
      trigger: 'retrigger',
      retrigger_of: run.id,
    },
    by: { ...request.caller, reason: request.reason ?? null, approval: approvalOf(consent, now) },
    lease: { executor: waits ? 'approval' : 'remote', timeout_ms: null },
    sameness,
    exclusive: true,
    burn: consent && { nonce: consent.nonce, expires_at: consent.expires_at },
    quota: quotaOf(decision),
  });
}
