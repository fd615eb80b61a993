import { AppError } from '../shared/errors.ts';
import type { Redaction } from '../shared/redact/redaction.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import { isOpen, type ActionRun } from './action-run.ts';
import type { Caller } from './start.ts';
import type { RunLeases, RunLedger } from './run-ledger.ts';
import type { Supervisor } from './supervisor.ts';
import { findRun, waitForRun, type WaitPorts } from './wait.ts';
import { STOP_GRACE_MS } from './supervision.ts';

export interface CancelPorts extends WaitPorts {
  ledger: RunLedger;
  leases: RunLeases;
  supervisor: Supervisor;
  store: Pick<WorkspaceStore, 'list'>;
  redaction: Pick<Redaction, 'text'>;
}

export interface CancelRequest {
  run_id: string;
  reason?: string | undefined;
  caller: Caller;
  signal: AbortSignal;
}

/** The polite signal has its grace, then the firm one; the end is recorded a little later. */
const WAIT_MS = STOP_GRACE_MS + 5_000;

/** Asks the run's supervisor, in whatever process, to stop it, and waits for the recorded end. */
export async function cancelRun(ports: CancelPorts, request: CancelRequest): Promise<ActionRun> {
  const run = await findRun(ports.ledger, request.run_id);
  if (!isOpen(run)) return run;
  await refuseUnsupervised(ports, run);
  // A process that has only this to do has not read yet what a reason must not say.
  if (request.reason !== undefined) await ports.store.list();
  const reason = request.reason === undefined ? null : ports.redaction.text(request.reason);
  await ports.ledger.append({
    kind: 'run_cancel_requested',
    run_id: run.id,
    at: ports.clock.now(),
    facts: {},
    private: { cancelled_by: request.caller.principal.display, cancel_reason: reason },
  });
  // An orphan is adopted first: its new supervisor finds the request in the lease.
  await ports.supervisor.recover();
  return await waitForRun(ports, run.id, { wait_ms: WAIT_MS, signal: request.signal });
}

async function refuseUnsupervised({ leases }: CancelPorts, run: ActionRun): Promise<void> {
  const lease = (await leases.list()).find(({ run_id }) => run_id === run.id);
  if (lease && lease.executor === 'remote' && lease.phase !== 'launching') throw beyondReach(run);
  if (lease) return;
  throw new AppError(
    'refused',
    `run ${run.id} (source ${run.source}) is not supervised here, so it cannot be cancelled here`,
    {
      next:
        run.source === 'api'
          ? 'cancel it where it was started: the Polycrate API can only change its record, which stops no process'
          : 'cancel it where it was started',
    },
  );
}

/** It was asked for, and the API has no operation that takes that back or ends what it started. */
function beyondReach({ id, executor, api }: ActionRun): AppError {
  const where = `the Polycrate API ${executor?.runner ?? ''}`;
  return new AppError(
    'refused',
    `run ${id} was handed to ${where}, which has no operation that stops it or takes it out of its queue`,
    {
      next: `stop it there${api?.url ? `: ${api.url}` : ''}; wait_for_action_run with run_id ${id} follows it to its end`,
      details: {
        endpoint: executor?.runner ?? null,
        item: executor?.container ?? null,
        url: api?.url ?? null,
      },
    },
  );
}
