import { z } from 'zod';
import { startWorkflow } from '../runs/workflow.ts';
import * as field from './fields.ts';
import { runOutput } from './run-action.ts';
import { outcomeOf } from './run-outcome.ts';
import { defineTool } from './tool.ts';

export const runWorkflow = defineTool({
  name: 'run_workflow',
  title: 'Run a workflow',
  description:
    'Runs the steps of a workflow in order, each as an Action Run of its own; a human approves all at once. The first failure stops it, unless the workflow allows failures. Otherwise like run_action.',
  effect: 'destroys',
  idempotent: false,
  openWorld: true,
  input: z.object({
    workspace: field.workspaceName,
    workflow: field.workflowName,
    reason: field.plainReason,
    idempotency_key: field.sameKey,
    plan_digest: field.sameDigest,
    wait_seconds: field.waitSeconds.default(20),
    timeout_seconds: field.sameTimeout,
  }),
  output: z.object({ ...runOutput, steps: field.openObjects }),
  async run(services, { wait_seconds, ...request }, call) {
    const { caller, consent, desk, telling, entry } = call;
    const start = await startWorkflow(services.start, { ...request, caller, consent, desk, telling, entry });
    if (start.outcome === 'approval_needed') return { ask: start };
    const outcome = await outcomeOf(services, start, { call, wait_seconds });
    return { ...outcome, steps: outcome.steps ?? [] };
  },
});
