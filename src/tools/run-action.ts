import { z } from 'zod';
import { startRun } from '../runs/start.ts';
import * as field from './fields.ts';
import { outcomeOf } from './run-outcome.ts';
import { defineTool } from './tool.ts';

export const runOutput = {
  ...field.runResult,
  launched: z.boolean(),
  replayed: z.boolean(),
  log_tail: z.array(z.string()),
  next: z.string(),
};

export const runAction = defineTool({
  name: 'run_action',
  title: 'Run an action',
  description:
    'Runs one action of a block in the toolchain container and records it as a new Action Run before it starts. ' +
    'An action can do anything its container can, to every host of its inventory: look at plan_action first. ' +
    'Waits up to wait_seconds; the run goes on, also if the connection ends. Repeat with the same idempotency_key when unsure whether it started.',
  effect: 'destroys',
  idempotent: false,
  openWorld: true,
  input: z.object({
    workspace: field.workspaceName,
    block: field.blockName,
    action: field.actionName,
    reason: field.reason,
    idempotency_key: field.idempotencyKey,
    plan_digest: field.planDigest,
    wait_seconds: field.waitSeconds.default(20),
    timeout_seconds: field.timeoutSeconds,
    allow_concurrent: z.boolean().describe('Start although a run of this block is open').optional(),
  }),
  output: z.object(runOutput),
  async run(services, { wait_seconds, ...request }, call) {
    const { caller, consent, desk, telling, entry } = call;
    const start = await startRun(services.start, {
      ...request,
      caller,
      consent,
      desk,
      telling,
      entry,
      trigger: 'mcp',
    });
    if (start.outcome === 'approval_needed') return { ask: start };
    return outcomeOf(services, start, { call, wait_seconds });
  },
});
