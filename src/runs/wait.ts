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
  /** Called when the status changes, and about once a second while the run is open. */
  onProgress?: ((run: ActionRun, waited_ms: number) => void) | undefined;
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
  let told = { status: '', at: 0 };
  for (;;) {
    const run = await findRun(ports.ledger, id);
    const now = waited();
    if (!isOpen(run) || now >= options.wait_ms || options.signal.aborted) return run;
    // Other runs of the ledger wake this wait as well, and are no progress of this one.
    if (run.status !== told.status || now - told.at >= PROGRESS_MS) {
      told = { status: run.status, at: now };
      options.onProgress?.(run, now);
    }
    await ports.watch.changed(Math.min(options.wait_ms - now, PROGRESS_MS), options.signal);
  }
}
