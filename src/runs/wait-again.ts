import type { ActionRun } from './action-run.ts';
import type { Executor } from './executor.ts';
import { REDACTIONS_FILE, type Supervised, type SupervisionPorts } from './supervision.ts';

// A run that others agreed to, whose server died on the way to its start.

/**
 * Nothing of it can have started: the engine has nothing of it, or, where what ran may have gone without a trace, the
 * run has not even the files that every supervisor writes before it starts anything.
 */
export async function isUnbegun(
  { files }: Pick<SupervisionPorts, 'files'>,
  record: ActionRun,
  executor: Executor,
): Promise<boolean> {
  if (!isApproved(record) || record.started_at !== null) return false;
  return executor.adoptable || (await files.read(record.id, REDACTIONS_FILE)) === null;
}

/** By others than through the requester's own client. */
export function isApproved({ approval_request, approved_at }: ActionRun): boolean {
  return approval_request !== undefined && approved_at !== null;
}

/** Lets it wait as it did before: whoever looks next plans it again and starts it, or closes it (conduct-approvals.ts). */
export async function waitAgain(
  { files, leases, log }: Pick<SupervisionPorts, 'files' | 'leases' | 'log'>,
  { guard }: Pick<Supervised, 'guard'>,
): Promise<void> {
  // It may be started from another data folder.
  await files.remove(guard.run_id);
  await leases.promote(guard, { executor: 'approval', alone: false });
  await leases.give(guard, 'release');
  log('info', 'a run that was approved had not begun when its server ended', { run: guard.run_id });
}
