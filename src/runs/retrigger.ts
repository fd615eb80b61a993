import { addressOf } from '../workspaces/workspace.ts';
import { AppError } from '../shared/errors.ts';
import type { ActionRun } from './action-run.ts';
import { driftBetween, type Drift } from './drift.ts';
import { prepare, type PreparePorts, type Prepared, type Target } from './prepare.ts';
import { startRun, type Start, type StartPorts, type StartRequest } from './start.ts';
import { findRun } from './wait.ts';

export type RetriggerMode = 'pinned' | 'current';

export interface RetriggerRequest extends Pick<
  StartRequest,
  | 'reason'
  | 'idempotency_key'
  | 'plan_digest'
  | 'timeout_seconds'
  | 'caller'
  | 'consent'
  | 'telling'
  | 'entry'
> {
  run_id: string;
  mode: RetriggerMode;
}

/** What a past run would be today, and what differs from then. */
export async function planRetrigger(
  ports: PreparePorts & Pick<StartPorts, 'supervision'>,
  run_id: string,
): Promise<Prepared & { run: ActionRun; drift: Drift[]; target: Target }> {
  const run = await findRun(ports.supervision.ledger, run_id);
  const target = targetOf(run);
  const prepared = await prepare(ports, target);
  return { ...prepared, run, target, drift: driftBetween(run, prepared.plan) };
}

/** A new run that names the old one. `pinned` refuses when content differs from what the old one ran. */
export async function retriggerRun(
  ports: StartPorts,
  request: RetriggerRequest,
): Promise<Start & { drift: Drift[] }> {
  const { run, drift, target } = await planRetrigger(ports, request.run_id);
  if (request.mode === 'pinned' && drift.length > 0) {
    throw new AppError(
      'plan_changed',
      `run ${run.id} cannot be repeated as it was: ${drift.map(({ what }) => what).join(', ')} changed`,
      {
        next: "mode: 'current' runs it as it is defined now",
        details: { drift },
      },
    );
  }
  const { reason, idempotency_key, plan_digest, timeout_seconds, caller, consent, telling, entry } = request;
  const start = await startRun(ports, {
    ...target,
    ...{ reason, idempotency_key, plan_digest, timeout_seconds, caller, consent, telling, entry },
    trigger: 'retrigger',
    retrigger_of: run.id,
  });
  return { ...start, drift };
}

function targetOf(run: ActionRun): Target {
  if (run.kind !== 'action' || run.block === null || run.action === null) {
    throw new AppError('refused', `run ${run.id} is a ${run.kind}, not the run of one action`, {
      next: 're-trigger one of its steps: search_action_runs finds them',
    });
  }
  return {
    workspace: addressOf({ organization: run.organization, name: run.workspace }),
    block: run.block,
    action: run.action,
  };
}
