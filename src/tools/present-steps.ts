import type { ActionRun } from '../runs/action-run.ts';
import { currentStep, stepsOf, type Step } from '../runs/steps.ts';
import { fitting } from './present-run.ts';
import type { Services } from './services.ts';

/** Of the steps in an answer about a run that goes on, about 1,500 tokens. */
const STEPS_CHARACTERS = 6_000;

type Row = Record<string, unknown>;

interface StepsShown {
  steps: Row[];
  /** Where there are more steps than an answer has room for. */
  steps_left_out?: { before: number; after: number; all: string };
}

/**
 * The steps of a workflow's run as answers show them, and the one that matters most; null for other runs. Of very many,
 * those around that one.
 */
export async function stepsAnswer(
  { ledger }: Pick<Services, 'ledger'>,
  run: ActionRun,
): Promise<{ shown: StepsShown; current: ActionRun | null } | null> {
  if (run.kind !== 'workflow') return null;
  const steps = await stepsOf(ledger, run);
  const current = currentStep(steps);
  const at = steps.findIndex((step) => step.run !== null && step.run === current);
  return { shown: around(steps.map(stepRow), Math.max(at, 0), run.id), current };
}

/** All of them, in order. */
export async function stepRows({ ledger }: Pick<Services, 'ledger'>, run: ActionRun): Promise<Row[]> {
  return (await stepsOf(ledger, run)).map(stepRow);
}

/** Half of the room for what was before, the rest for what comes. */
function around(rows: readonly Row[], at: number, run_id: string): StepsShown {
  if (fitting(rows, STEPS_CHARACTERS) === rows.length) return { steps: [...rows] };
  const past = rows.slice(0, at).reverse();
  const before = at === 0 ? 0 : fitting(past, STEPS_CHARACTERS / 2);
  const first = at - before;
  const steps = rows.slice(first);
  const shown = steps.slice(0, fitting(steps, STEPS_CHARACTERS));
  const after = rows.length - first - shown.length;
  return {
    steps: shown,
    steps_left_out: { before: first, after, all: `get_action_run with run_id ${run_id}` },
  };
}

function stepRow({ step, run }: Step): Row {
  const { name, block, action, not_run } = step;
  if (!run) return { name, block, action, run_id: null, status: null, ...(not_run && { not_run }) };
  const { id, status, exit_code, duration_ms, status_reason } = run;
  return { name, block, action, run_id: id, status, exit_code, duration_ms, ...(status_reason && { status_reason }) };
} // prettier-ignore
