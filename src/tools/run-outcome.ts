import type { ActionRun } from '../runs/action-run.ts';
import type { Start } from '../runs/start.ts';
import { waitForRun } from '../runs/wait.ts';
import { runAnswer } from './present-run.ts';
import type { Services } from './services.ts';
import type { ToolCall } from './tool.ts';

/** Lines of output that come with an answer, so that most failures need no further call. */
const TAIL_LINES = 12;

export interface RunOutcome extends ReturnType<typeof runAnswer> {
  launched: boolean;
  replayed: boolean;
  replayed_age_seconds?: number;
  log_tail: string[];
  next: string;
}

/** Waits for what was started and tells how it stands; ending the wait does not end the run. */
export async function outcomeOf(
  services: Services,
  start: Exclude<Start, { outcome: 'approval_needed' }>,
  { call, wait_seconds }: { call: ToolCall; wait_seconds: number },
): Promise<RunOutcome> {
  const run = await waitWithProgress(services, start.run.id, { call, wait_seconds });
  const answer = runAnswer(run);
  return {
    ...answer,
    launched: run.launched,
    replayed: start.outcome === 'replayed',
    ...(start.outcome === 'replayed' && { replayed_age_seconds: Math.round(start.age_ms / 1000) }),
    log_tail: await logTail(services, run),
    next: nextStep(run, answer.finished),
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
    onProgress: progress && ((run, waited) => progress(`run ${run.id} is ${run.status}`, waited)),
  });
}

export async function logTail({ logs }: Services, run: ActionRun): Promise<string[]> {
  const slice = await logs.read(run.id, {
    mode: 'tail',
    lines: TAIL_LINES,
    line: 1,
    stream: null,
    matches: null,
  });
  return slice?.lines.map(({ text }) => text.slice(0, 500)) ?? [];
}

export function nextStep(run: ActionRun, finished: boolean): string {
  if (!finished) return `wait_for_action_run with run_id ${run.id}; it goes on whether you wait or not`;
  if (run.status === 'success') return 'nothing: it is done';
  if (!run.launched) return 'nothing was executed: see status_reason';
  return `read_action_run_log with run_id ${run.id} and failed_task_only: true`;
}
