import { z } from 'zod';
import { inShort } from '../runs/drift.ts';
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
    "mode 'pinned' runs the same block, config, inventory and image, if need be from its commit, or refuses with the drift; 'current' runs it as defined now; 'remote' has the Polycrate API run it. Otherwise like run_action.",
  effect: 'destroys',
  idempotent: false,
  openWorld: true,
  input: z.object({
    run_id: field.runId,
    reason: field.plainReason,
    mode: z.enum(['pinned', 'current', 'remote']).default('pinned'),
    idempotency_key: field.sameKey,
    plan_digest: field.sameDigest,
    wait_seconds: field.waitSeconds.default(20),
    timeout_seconds: field.sameTimeout,
  }),
  output: z.object({ ...runOutput, drift: field.openObjects }),
  async run(services, { wait_seconds, ...request }, call) {
    const { caller, consent, desk, telling, entry } = call;
    const start = await retriggerRun(services.start, { ...request, caller, consent, desk, telling, entry });
    if (start.outcome === 'approval_needed') return { ask: start };
    const outcome = await outcomeOf(services, start, { call, wait_seconds });
    return { ...outcome, drift: inShort(start.drift) };
  },
});
