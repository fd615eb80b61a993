import { isOpen } from '../runs/action-run.ts';
import { agreedTo } from '../runs/approval.ts';
import type { Lease, LeaseGuard, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import { LEASE_MS } from '../runs/supervision.ts';
import type { Requesters } from '../runs/requesters.ts';
import type { UntoldRuns } from '../runs/untold.ts';
import { isApproved } from '../runs/wait-again.ts';
import { AppError } from '../shared/errors.ts';
import { asSeen, isOwn, mayKnow, stamped, type Machine } from './machine.ts';
import type { Methods } from './service.ts';
import { ownWrite } from './own-write.ts';

/** A runner renews long before; longer ones would keep a dead runner's runs open. */
const LONGEST_LEASE_MS = 6 * LEASE_MS;

export interface LeasePorts {
  ledger: Pick<RunLedger, 'find'>;
  leases: RunLeases;
  untold: UntoldRuns;
  requesters: Requesters;
}

/** The lease of a run that the machine holds; `lease_lost` if it holds none. */
export async function ownLease(leases: Pick<RunLeases, 'list'>, machine: Machine, run_id: string): Promise<Lease> {
  const lease = await heldLease(leases, machine, { run_id });
  if (lease) return lease;
  throw new AppError('lease_lost', `run ${run_id} is not supervised by this runner`);
} // prettier-ignore

async function heldLease(leases: Pick<RunLeases, 'list'>, machine: Machine, { run_id }: Pick<LeaseGuard, 'run_id'>): Promise<Lease | null> {
  return (await leases.list()).find((lease) => lease.run_id === run_id && isOwn(machine, lease)) ?? null;
} // prettier-ignore

export function leaseMethods({ ledger, leases, untold, requesters }: LeasePorts): Pick<Methods, `leases/${Verb}` | `untold/${UntoldVerb}` | 'requesters/refusal'> {
  const most = async (expires_at: number): Promise<number> =>
    Math.min(expires_at, (await leases.now()) + LONGEST_LEASE_MS);
  const known = async (machine: Machine, run_id: string): Promise<boolean> => {
    const run = await ledger.find(run_id);
    return run !== null && run.id === run_id && mayKnow(machine, run);
  };
  return {
    'leases/now': () => leases.now(),
    'leases/list': async (machine) =>
      (await leases.list()).filter((lease) => isOwn(machine, lease)).map((lease) => asSeen(machine, lease)),
    'leases/renew': async (machine, { owner, expires_at }) => {
      const renewed = await leases.renew(stamped(machine, owner), await most(expires_at));
      return renewed.map((lease) => asSeen(machine, lease));
    },
    async 'leases/take'(machine, { seen, owner, expires_at, write_id }) {
      if (!(await heldLease(leases, machine, seen))) return null;
      const by = stamped(machine, owner);
      const taken = await leases.take(seen, by, await most(expires_at), ownWrite(machine, write_id));
      return taken && asSeen(machine, taken);
    },
    async 'leases/promote'(machine, { guard, to }) {
      const lease = await ownLease(leases, machine, guard.run_id);
      if (to.executor === 'remote') throw new AppError('refused', 'what a Polycrate API executes is the business of the server');
      const run = await ledger.find(guard.run_id);
      // What it was promoted to already is answered again.
      if (lease.executor === 'approval' && !(run?.approval_request && run.approved_at !== null && agreedTo(run) >= run.approval_request.count)) {
        throw new AppError('refused', `not enough people agreed to run ${guard.run_id}`);
      }
      if (to.executor === 'approval' && !(run && isApproved(run) && run.started_at === null)) {
        throw new AppError('refused', `run ${guard.run_id} has nothing to wait for again`);
      }
      const why = lease.executor === 'approval' && run?.principal ? await requesters.refusal(run.principal, 0) : null;
      if (why !== null) throw new AppError('refused', why);
      return await leases.promote(guard, to);
    },
    async 'leases/give'(machine, { guard, how }) {
      const lease = await heldLease(leases, machine, guard);
      if (!lease) return null;
      const run = how === 'delete' && lease.fence === guard.fence ? await ledger.find(guard.run_id) : null;
      // Without a lease nobody would ever find it again.
      if (run && isOpen(run)) throw new AppError('refused', `run ${guard.run_id} is open, so its lease stays`);
      await leases.give(guard, how);
      return null;
    },
    'requesters/refusal': (_machine, { principal, max_age_ms }) => requesters.refusal(principal, max_age_ms),
    'untold/find': async (machine, { call, since }) => {
      const found = await untold.find(call, since);
      const visible = await Promise.all(found.map(({ run_id }) => known(machine, run_id)));
      return found.filter((_, n) => visible[n]);
    },
    'untold/pass': async (machine, { seen, to }) => (await known(machine, seen.run_id)) && (await untold.pass(seen, to)),
    async 'untold/told'(machine, { run_id }) {
      if (await known(machine, run_id)) await untold.told(run_id);
      return null;
    },
  };
} // prettier-ignore

type Verb = 'now' | 'list' | 'renew' | 'take' | 'promote' | 'give';
type UntoldVerb = 'find' | 'pass' | 'told';
