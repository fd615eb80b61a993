import type { Records } from '../../history/records.ts';
import type { ProcessTable } from '../../shared/ports.ts';
import { LEASE_MS } from '../../runs/supervision.ts';
import type { Lease, LeaseGuard, RunLeases } from '../../runs/run-ledger.ts';
import type { Target } from './beside.ts';
import { openIn, targetOf, type RequestParts } from './requests.ts';

type Parts = RequestParts & { database: Pick<Records, 'leases'>; processes: Pick<ProcessTable, 'self'> };

/** Leases of both: those of the database only while it answers, each by the clock of the one that holds it. */
export function createLeases(parts: Parts): RunLeases {
  const { database, journal, reach, beside } = parts;
  const own = journal.records.leases;
  /** How far the database's clock is ahead of this machine's, as it was last asked. */
  let ahead = 0;
  const shown = (lease: Lease): Lease =>
    lease.expires_at === 0 ? lease : { ...lease, expires_at: lease.expires_at + ahead };
  const both = async (ours: () => Promise<Lease[]>, theirs: () => Promise<Lease[]>): Promise<Lease[]> => {
    const journalled = journal.isThere() ? (await ours()).map(shown) : [];
    if ((await reach.away()) !== null) return journalled;
    const others = reach.try(theirs).catch((error: unknown) => {
      // What is supervised here goes on without the database.
      if (journalled.length === 0) throw error;
      return [];
    });
    return [...(await others), ...journalled];
  };
  const holder = async ({ run_id }: Pick<LeaseGuard, 'run_id'>): Promise<RunLeases | null> =>
    (await journal.has(run_id)) ? own : null;

  return {
    async now() {
      if ((await reach.away()) !== null) return (await own.now()) + ahead;
      const now = await reach.try(() => database.leases.now());
      ahead = now - (await own.now());
      return now;
    },
    list: () => both(() => own.list(), () => database.leases.list()),
    renew: (owner, expires_at) =>
      both(
        async () => own.renew(owner, (await own.now()) + LEASE_MS),
        () => database.leases.renew(owner, expires_at),
      ),
    async take(seen, owner, expires_at, write_id) {
      const journalled = await holder(seen);
      if (!journalled) return await reach.try(() => database.leases.take(seen, owner, expires_at, write_id));
      return await journalled.take(seen, owner, expires_at === 0 ? 0 : expires_at - ahead);
    },
    async promote(guard, to) {
      if (await holder(guard)) return await own.promote(guard, to);
      const target = await noted(parts, guard, to.executor);
      const active = to.alone && target ? await openIn(journal, target) : null;
      return active === null ? await reach.try(() => database.leases.promote(guard, to)) : { active };
    },
    async give(guard, how) {
      const journalled = await holder(guard);
      if (journalled) return await journalled.give(guard, how);
      await reach.try(() => database.leases.give(guard, how));
      if (how === 'delete') await beside?.open.remove(guard.run_id);
    },
  };
} // prettier-ignore

/** What waited for approval is launched from here on, or waits again. Answers what it is; null: the ledger does not know it. */
async function noted(parts: Parts, { run_id }: LeaseGuard, executor: Lease['executor']): Promise<Target | null> {
  const { database, beside, processes, clock } = parts;
  const run = await database.ledger.find(run_id);
  if (!run) return null;
  const target = targetOf({ ...run });
  if (executor === 'approval' || executor === 'remote') await beside?.open.remove(run_id);
  else await beside?.open.put({ ...target, run_id, executor, owner: processes.self(), at: clock.now() });
  return target;
} // prettier-ignore
