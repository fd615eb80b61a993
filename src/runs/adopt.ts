import { AppError, messageOf } from '../shared/errors.ts';
import { bringBack } from './agreed-files.ts';
import type { ActionRun } from './action-run.ts';
import { isOpen } from './action-run.ts';
import type { Execution, Executor, ExecutorKind, Leftover } from './executor.ts';
import { storeEnd } from './finish.ts';
import type { Lease } from './run-ledger.ts';
import { createRunRedaction } from './run-redaction.ts';
import { attend, cleanUp } from './supervise-run.ts';
import { REDACTIONS_FILE, STOP_GRACE_MS, type Supervised, type SupervisionPorts } from './supervision.ts';
import { isUnbegun, waitAgain } from './wait-again.ts';

/** A create call of a dead process may still be under way in the engine: looked for again after these waits. */
const LATE_SWEEPS_MS = [500, 1_500, 3_000];

/** Follows a run whose supervisor is gone to its true end, or closes it honestly. */
export async function adoptRun(
  ports: SupervisionPorts,
  run: Supervised,
  { lease, kind }: { lease: Lease; kind: ExecutorKind },
): Promise<void> {
  const executor = ports.executor(kind);
  const record = await ports.ledger.find(lease.run_id);
  let found: Leftover;
  try {
    found = await executor.find(lease.run_id);
    if (found.state === 'created') found = await settleCreated(executor, lease.run_id, found.ref);
  } catch (error) {
    // An engine out of reach says nothing about the run: it stays open.
    ports.log('warn', 'the engine of an open run is out of reach', {
      run: lease.run_id,
      error: messageOf(error),
    });
    return await ports.leases.give(run.guard, 'release');
  }
  if (!record || !isOpen(record)) return await removeLeftovers(ports, run, executor, found);
  if (found.state === 'running' || found.state === 'exited') {
    return await follow(ports, run, { lease, executor, ref: found.ref });
  }
  if (await isUnbegun(ports, record, executor)) {
    if (await sweepLate(ports, run, executor)) await waitAgain(ports, run);
    return;
  }
  await closeVanished(ports, run, { lease, record, executor });
  if (await sweepLate(ports, run, executor)) await cleanUp(ports, run);
}

async function follow(
  ports: SupervisionPorts,
  run: Supervised,
  { lease, executor, ref }: { lease: Lease; executor: Executor; ref: string },
): Promise<void> {
  const values = await storedRedactions(ports, lease.run_id);
  if (!values)
    throw new AppError('internal', 'what has to be hidden in the output of the run is not readable');
  const redaction = createRunRedaction(values);
  const { clean } = redaction;
  const writer = await ports.logs.open(lease.run_id, { replay: executor.adoptable, clean });
  let execution: Execution;
  try {
    execution = await executor.adopt(lease.run_id, ref, writer);
  } catch (error) {
    await writer.abandon();
    ports.log('warn', 'a run could not be adopted yet', { run: lease.run_id, error: messageOf(error) });
    return await ports.leases.give(run.guard, 'release');
  }
  run.execution = execution;
  // Asked for before the lease was taken, or heard since, when there was no execution to stop yet.
  if (lease.cancel_requested) run.stopping ??= 'cancelled';
  if (run.stopping) void execution.stop(STOP_GRACE_MS);
  await attend(ports, run, { execution, writer, redaction, event: 'run_adopted' });
}

/** Null: the file is damaged. */
async function storedRedactions({ files }: SupervisionPorts, run_id: string): Promise<string[] | null> {
  const text = await files.read(run_id, REDACTIONS_FILE);
  if (text === null) return [];
  try {
    return JSON.parse(text) as string[];
  } catch {
    return null;
  }
}

/** A created container either never starts, then it is removed, or just did, then it is found running. */
async function settleCreated(executor: Executor, run_id: string, ref: string): Promise<Leftover> {
  const removed = await executor.removeUnstarted(ref);
  return removed ? { state: 'absent' } : await executor.find(run_id);
}

/** The fence of a lease that was taken once, from the process that stored the intent. */
const FIRST_TAKE = 2;

/**
 * A container outlives its supervisor, so without one nothing was started. A process may have come and gone, but
 * its supervisor takes the lease before it starts it: then this adoption was not the first to take it.
 */
function leftNoTrace(executor: Executor, lease: Lease): boolean {
  return executor.adoptable || lease.fence === FIRST_TAKE;
}

/** Nothing of the run is left. What is known decides: never started, or an end that nobody saw. */
async function closeVanished(
  ports: SupervisionPorts,
  run: Supervised,
  { lease, record, executor }: { lease: Lease; record: ActionRun; executor: Executor },
): Promise<void> {
  const neverStarted = record.started_at === null && leftNoTrace(executor, lease);
  const now = ports.clock.now();
  const redaction = createRunRedaction((await storedRedactions(ports, lease.run_id)) ?? []);
  const how = {
    status: neverStarted ? ('failed' as const) : ('unknown' as const),
    status_reason: neverStarted
      ? 'not launched: the server ended before the execution started'
      : 'its supervisor was killed and nothing of the execution is left, so nobody saw its end',
  };
  await storeEnd(ports, run.guard, {
    ...(await bringBack(ports, run.guard, how, redaction)),
    exit_code: null,
    launched: !neverStarted,
    started_at: record.started_at,
    finished_at: now,
    log: null,
  });
}

/** False: handed on. The lease stays in its phase for the next process. */
async function sweepLate(ports: SupervisionPorts, run: Supervised, executor: Executor): Promise<boolean> {
  for (const wait of executor.adoptable ? LATE_SWEEPS_MS : []) {
    await ports.clock.sleep(wait, run.handOn.signal);
    if (run.handOn.signal.aborted) {
      await ports.leases.give(run.guard, 'release');
      return false;
    }
    const late = await executor.find(run.guard.run_id);
    if (late.state !== 'absent') await executor.discard(late.ref);
  }
  return true;
}

/** The run has its end already; only what it left on engine and host is still to go. */
async function removeLeftovers(
  ports: SupervisionPorts,
  run: Supervised,
  executor: Executor,
  found: Leftover,
): Promise<void> {
  if (found.state === 'running') {
    // Closed as lost by another server. What it does is not broken off: its files stay until it has ended.
    ports.log('warn', 'a run that was closed still goes on', { run: run.guard.run_id });
    return await ports.leases.give(run.guard, 'release');
  }
  if (found.state !== 'absent') await executor.discard(found.ref);
  await cleanUp(ports, run);
}
