import { canonicalJson, sha256 } from '../shared/json.ts';
import { addressOf, type Workflow, type Workspace } from '../workspaces/workspace.ts';
import type { Plan } from './plan.ts';
import type { Decision } from './policy.ts';
import { BY_CLIENT, subjectOf, type ApprovalTerms, type Subject } from './policy-rules.ts';
import { STRENGTHS } from './strength.ts';

export interface StepPlan {
  name: string;
  /** The block as the workflow names it. */
  reference: string;
  /** What the step itself asks, beside what its action asks. */
  prompt: string | null;
  plan: Plan;
  decision: Decision;
}

/** What a workflow would do: the plans of all its steps, in order. */
export interface WorkflowPlan {
  workspace: Workspace;
  workflow: Workflow;
  steps: readonly StepPlan[];
  /** For all steps together; null: no limit beside that of each step. */
  timeout_ms: number | null;
  /** Over the digests of all steps and how they follow each other. */
  digest: string;
}

/** Pure: the same steps give the same digest. */
export function buildWorkflowPlan(parts: Omit<WorkflowPlan, 'digest'>): WorkflowPlan {
  const { workspace, workflow, steps } = parts;
  const digest = sha256(
    canonicalJson({
      target: [addressOf(workspace), workflow.name],
      allow_failure: workflow.allow_failure,
      prompt: workflow.prompt,
      steps: steps.map(({ name, prompt, plan }) => [name, prompt, plan.digest]),
    }),
  );
  return { ...parts, digest };
}

/** One decision for the whole: the strictest of its steps. A prompt of any of them is for a human, who is asked once. */
export function decideWorkflow({ workflow, steps }: Pick<WorkflowPlan, 'workflow' | 'steps'>): Decision {
  const denied = steps.find(({ decision }) => decision.decision === 'deny');
  if (denied) return { ...denied.decision, why: `step ${denied.name}: ${denied.decision.why}` };
  const asking = steps
    .filter(({ decision }) => decision.decision === 'approve')
    .map(({ decision }) => decision);
  const prompt = workflow.prompt ?? steps.find((step) => step.prompt !== null)?.prompt;
  const first = asking[0] ?? steps[0]!.decision;
  const reason = steps.find(({ decision }) => decision.reason)?.decision.reason;
  // Limits are those of each step, and are kept when it is started.
  const { limits: _, ...whole } = { ...first, ...(reason && { reason }) };
  if (!prompt) return asking.length === 0 ? whole : { ...whole, approval: together(asking) };
  const named = first.policy_digest === undefined ? 'workflow:prompt' : first.rule;
  return {
    ...whole,
    decision: 'approve',
    rule: named,
    why: `the workflow asks: ${prompt}`,
    remedy: null,
    approval: together(asking),
  };
}

/** What its rules decide about; whatever somebody has to be asked is with the step that it comes before. */
export function subjectsOf({ workflow, steps }: Pick<WorkflowPlan, 'workflow' | 'steps'>): Subject[] {
  return steps.map(({ prompt, plan }, index) => {
    const subject = subjectOf(plan);
    return { ...subject, prompt: prompt ?? (index === 0 ? workflow.prompt : null) ?? subject.prompt };
  });
}

/** The strictest of several decisions, and the approval that is enough for all of them. */
export function strictest(decisions: readonly [Decision, ...Decision[]]): Decision {
  const denied = decisions.find(({ decision }) => decision === 'deny');
  const asking = decisions.filter(({ decision }) => decision === 'approve');
  if (denied || asking.length === 0) return denied ?? decisions[0];
  return { ...asking[0]!, approval: together(asking) };
}

/** One approval for all: each step gets what it asks for. */
function together(decisions: readonly Decision[]): ApprovalTerms {
  return decisions.reduce<ApprovalTerms>((sum, { approval = BY_CLIENT }) => {
    const strengths = [sum.strength, approval.strength].map((strength) => STRENGTHS.indexOf(strength));
    const roles = [sum.role, approval.role].filter((role) => role !== null);
    return {
      count: Math.max(sum.count, approval.count),
      role: roles.includes('admin') ? 'admin' : (roles[0] ?? null),
      strength: STRENGTHS[Math.max(...strengths)]!,
      expires_ms: Math.min(sum.expires_ms, approval.expires_ms),
    };
  }, decisions[0]?.approval ?? BY_CLIENT);
}
