import type { ProcessTable } from '../shared/ports.ts';
import { isOpen } from './action-run.ts';
import { storeEnd } from './finish.ts';
import type { Lease, LeaseKind } from './run-ledger.ts';
import type { SupervisionPorts } from './supervision.ts';

/** Nothing of them is on this side: a Polycrate API executes them, or nobody does yet. */
const ANYWHERE: readonly LeaseKind[] = ['remote', 'approval'];

/** Its run belongs to a data folder that is not this process's own. */
export function isElsewhere(
  processes: Pick<ProcessTable, 'self'>,
  { owner, executor }: Pick<Lease, 'owner' | 'executor'>,
): boolean {
  if (ANYWHERE.includes(executor)) return false;
  return owner.place !== undefined && owner.place !== processes.self().place;
}

/**
 * Closes runs of other data folders whose leases ran out long ago, if the operator wants that. The lease stays with
 * its folder: a server that comes back to it takes away what is left of the run.
 */
export async function closeLost(
  ports: SupervisionPorts,
  leases: readonly Lease[],
  now: number,
): Promise<void> {
  const { lostAfterMs, processes } = ports;
  if (lostAfterMs === null) return;
  for (const lease of leases) {
    if (!isElsewhere(processes, lease) || lease.expires_at > now - lostAfterMs) continue;
    const run = await ports.ledger.find(lease.run_id);
    // A lease that was given up does not tell when.
    if (!run || !isOpen(run) || run.requested_at > now - lostAfterMs) continue;
    const taken = await ports.leases.take(lease, lease.owner, 0);
    if (!taken) continue;
    const { run_id, fence, owner } = taken;
    ports.log('warn', 'a run of another data folder is closed', { run: run_id, host: owner.host });
    await storeEnd(ports, { run_id, fence }, {
      status: 'unknown',
      status_reason: `the server on ${owner.host} that supervised it has not been seen for longer than POLYCRATE_MCP_LOST_AFTER; nobody saw its end`,
      exit_code: null,
      launched: true,
      started_at: run.started_at,
      finished_at: ports.clock.now(),
      log: null,
    });
  }
} // prettier-ignore
