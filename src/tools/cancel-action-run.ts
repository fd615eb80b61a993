import { z } from 'zod';
import { cancelRun } from '../runs/cancel.ts';
import * as field from './fields.ts';
import { runAnswer } from './present-run.ts';
import { stepsAnswer } from './present-steps.ts';
import { defineTool } from './tool.ts';

export const cancelActionRun = defineTool({
  name: 'cancel_action_run',
  title: 'Cancel a run',
  description:
    'Stops an open run (SIGTERM, ten seconds later SIGKILL) and waits for its recorded end. What the action did so far stays done. A finished run is returned unchanged.',
  effect: 'destroys',
  idempotent: true,
  openWorld: true,
  input: z.object({ run_id: field.runId, reason: field.reason }),
  output: z.object({ ...field.runResult, steps: field.openObjects.optional() }),
  async run(services, { run_id, reason }, { caller, signal }) {
    const run = await cancelRun(services, { run_id, reason, caller, signal });
    const workflow = await stepsAnswer(services, run);
    return { ...runAnswer(run), ...workflow?.shown };
  },
});
