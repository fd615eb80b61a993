import { z } from 'zod';
import { retriggerRun } from '../runs/retrigger.ts';
import * as field from './fields.ts';
import { runOutput } from './run-action.ts';
import { outcomeOf } from './run-outcome.ts';
import { defineTool } from './tool.ts';

export const retriggerActionRun = defineTool({
  name: 'retrigger_action_run',
  title: 'Run a past run again',
  description:
    'Starts a new Action Run of what a past run executed; the new record names the old one. ' +
    "mode 'pinned' refuses with the drift if block, config, inventory or image changed since; 'current' runs it as it is defined now.",
  effect: 'destroys',
  idempotent: false,
  openWorld: true,
  input: z.object({
    run_id: field.runId,
    reason: field.reason,
    mode: z.enum(['pinned', 'current']).default('pinned'),
    idempotency_key: field.idempotencyKey,
    plan_digest: field.planDigest,
    wait_seconds: field.waitSeconds.default(20),
    timeout_seconds: field.timeoutSeconds,
  }),
  output: z.object({ ...runOutput, drift: field.openObjects }),
  async run(services, { wait_seconds, ...request }, call) {
    const { caller, consent, telling, entry } = call;
    const start = await retriggerRun(services.start, { ...request, caller, consent, telling, entry });
    if (start.outcome === 'approval_needed') return { ask: start };
    const outcome = await outcomeOf(services, start, { call, wait_seconds });
    return { ...outcome, drift: start.drift.map((entry) => ({ ...entry })) };
  },
});
