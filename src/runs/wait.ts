import { AppError } from '../shared/errors.ts';
import type { Clock } from '../shared/ports.ts';
import { startStopwatch } from '../shared/stopwatch.ts';
import { isOpen, type ActionRun } from './action-run.ts';
import type { LedgerWatch, RunLedger } from './run-ledger.ts';

export interface WaitPorts {
  ledger: Pick<RunLedger, 'find'>;
  watch: LedgerWatch;
  clock: Clock;
}

export interface WaitOptions {
  wait_ms: number;
  signal: AbortSignal;
  /** Called when the status changes or a workflow reaches a step, and about once a second while the run is open. */
  onProgress?: ((run: ActionRun, waited_ms: number, step: StepReached | null) => void) | undefined;
}

/** The step that a workflow has reached. */
export interface StepReached {
  name: string;
  /** From 1. */
  number: number;
  of: number;
  run: ActionRun;
}

const PROGRESS_MS = 1_000;

/** The run by id or alias; `unknown_name` says how to find the right one. */
export async function findRun(ledger: Pick<RunLedger, 'find'>, id: string): Promise<ActionRun> {
  const run = await ledger.find(id);
  if (run) return run;
  throw new AppError('unknown_name', `there is no run ${id}`, {
    next: 'search_action_runs lists the runs with their ids',
  });
}

/** Waits until the run is closed, whichever process supervises it; ending the wait never ends the run. */
export async function waitForRun(ports: WaitPorts, id: string, options: WaitOptions): Promise<ActionRun> {
  const waited = startStopwatch(ports.clock);
  let told = { stage: '', at: 0 };
  let step: StepReached | null = null;
  for (;;) {
    const run = await findRun(ports.ledger, id);
    const now = waited();
    if (!isOpen(run) || now >= options.wait_ms || options.signal.aborted) return run;
    if (options.onProgress) step = await stepReached(ports.ledger, run, step);
    const stage = `${run.status} ${step?.number} ${step?.run.status}`;
    // Other runs of the ledger wake this wait as well, and are no progress of this one.
    if (stage !== told.stage || now - told.at >= PROGRESS_MS) {
      told = { stage, at: now };
      options.onProgress?.(run, now, step);
    }
    await ports.watch.changed(Math.min(options.wait_ms - now, PROGRESS_MS), options.signal);
  }
}

/** Steps get their runs in order: looked at from the one that was reached before. Null: none yet, or no workflow. */
async function stepReached(ledger: WaitPorts['ledger'], { steps }: ActionRun, before: StepReached | null): Promise<StepReached | null> {
  let reached: StepReached | null = null;
  for (const [index, { name, run_id }] of (steps ?? []).entries()) {
    if (index + 1 < (before?.number ?? 1)) continue;
    const run = await ledger.find(run_id);
    if (!run) break;
    reached = { name, number: index + 1, of: steps!.length, run };
  }
  return reached;
} // prettier-ignore
