import type { ActionRun } from '../runs/action-run.ts';
import { isAwaited } from '../runs/approval.ts';
import type { Start } from '../runs/start.ts';
import { waitForRun, type StepReached } from '../runs/wait.ts';
import { nextOfAwaited } from './present-approval.ts';
import { runAnswer } from './present-run.ts';
import { stepsAnswer } from './present-steps.ts';
import { summaryOf } from './run-summary.ts';
import type { Services } from './services.ts';
import type { ToolCall } from './tool.ts';

/** Lines of output that come with an answer, so that most failures need no further call. */
const TAIL_LINES = 12;

export interface RunOutcome extends ReturnType<typeof runAnswer> {
  launched: boolean;
  replayed: boolean;
  replayed_age_seconds?: number;
  /** Of an ended Ansible run. */
  summary?: string;
  log_tail: string[];
  next: string;
  /** Of a workflow. */
  steps?: Record<string, unknown>[];
  steps_left_out?: object;
}

/** Waits for what was started and tells how it stands; ending the wait does not end the run. */
export async function outcomeOf(
  services: Services,
  start: Exclude<Start, { outcome: 'approval_needed' }>,
  { call, wait_seconds }: { call: ToolCall; wait_seconds: number },
): Promise<RunOutcome> {
  // Whoever has to approve it is not asked by waiting: the caller is to tell them.
  const run = isAwaited(start.run)
    ? start.run
    : await waitWithProgress(services, start.run.id, { call, wait_seconds });
  const answer = runAnswer(run, await services.approvalLink(run));
  const summary = await summaryOf(services, run);
  const workflow = await stepsAnswer(services, run);
  return {
    ...answer,
    ...(summary !== null && { summary }),
    ...workflow?.shown,
    launched: run.launched,
    replayed: start.outcome === 'replayed',
    ...(start.outcome === 'replayed' && { replayed_age_seconds: Math.round(start.age_ms / 1000) }),
    log_tail: await logTail(services, workflow ? workflow.current : run),
    next: nextStep(run, answer.finished, workflow?.current),
  };
}

export async function waitWithProgress(
  services: Services,
  run_id: string,
  { call, wait_seconds }: { call: ToolCall; wait_seconds: number },
): Promise<ActionRun> {
  const { progress } = call;
  return waitForRun(services, run_id, {
    wait_ms: wait_seconds * 1000,
    signal: call.signal,
    onProgress: progress && ((run, waited, step) => progress(progressText(run, step), waited)),
  });
}

function progressText({ id, status }: ActionRun, step: StepReached | null): string {
  if (!step) return `run ${id} is ${status}`;
  const { number, of, name, run } = step;
  return `run ${id} is ${status}: step ${number} of ${of}, ${name} (${run.block}, ${run.action}), is ${run.status}`;
}

/** Null: nothing ran yet. */
export async function logTail({ logs }: Services, run: ActionRun | null): Promise<string[]> {
  if (!run) return [];
  const slice = await logs.read(run.id, {
    mode: 'tail',
    lines: TAIL_LINES,
    line: 1,
    stream: null,
    matches: null,
  });
  return slice?.lines.map(({ text }) => text.slice(0, 500)) ?? [];
}

/** `step`: of a workflow the one that went wrong, if one did. */
export function nextStep(run: ActionRun, finished: boolean, step: ActionRun | null = run): string {
  if (isAwaited(run)) return nextOfAwaited(run);
  if (!finished) return `wait_for_action_run with run_id ${run.id}; it goes on whether you wait or not`;
  if (run.status === 'success') return 'nothing: it is done';
  if (!run.launched) return 'nothing was executed: see status_reason';
  return `read_action_run_log with run_id ${step?.id ?? run.id} and failed_task_only: true`;
}
