import { rm } from 'node:fs/promises';
import type { App } from '../../compose.ts';
import { cancelRun } from '../../runs/cancel.ts';
import { timeLimit } from '../../shared/time-limit.ts';

const PATIENCE_MS = 15_000;
const LOOK_MS = 500;

/**
 * Ends what an interrupted story left open, waits until every supervisor has cleaned up behind its run, and
 * removes the folder. `app` is wired to the demo's own ledger.
 */
export async function tidy({ services, supervisor, server, close }: App, folder: string): Promise<void> {
  const caller = { ...server.identity, client: null };
  const signal = timeLimit(PATIENCE_MS);
  for (const { run_id } of await services.leases.list()) {
    await cancelRun(services, { run_id, reason: 'the demo ends', caller, signal });
  }
  while ((await services.leases.list()).length > 0 && !signal.aborted) {
    await services.watch.changed(LOOK_MS, signal);
    await supervisor.recover();
  }
  await supervisor.idle();
  await close();
  // A supervisor that has just ended may be closing its files.
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}
