import { isOpen, type ActionRun, type RecordedStep } from './action-run.ts';
import type { RunLedger } from './run-ledger.ts';

/** A step of a workflow as it stands: its run, if there is one. */
export interface Step {
  step: RecordedStep;
  run: ActionRun | null;
}

/** In the order of the workflow; none for a run of another kind. */
export async function stepsOf(ledger: Pick<RunLedger, 'find'>, { steps }: ActionRun): Promise<Step[]> {
  return Promise.all((steps ?? []).map(async (step) => ({ step, run: await ledger.find(step.run_id) })));
}

/** The step that is going on, or the one that went wrong, or the last one that ran. */
export function currentStep(steps: readonly Step[]): ActionRun | null {
  const runs = steps.flatMap(({ run }) => (run ? [run] : []));
  return runs.find(isOpen) ?? runs.find(({ status }) => status !== 'success') ?? runs.at(-1) ?? null;
}
