import type { Intent, IntentRequest, LedgerStatus, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import { comesTooLate } from '../runs/action-run.ts';
import { LEASE_MS } from '../runs/supervision.ts';
import { AppError } from '../shared/errors.ts';
import type { RunnerAuthority } from './authority.ts';
import { ownLease } from './lease-methods.ts';
import { mayKnow, stamped, type Machine } from './machine.ts';
import { ownWrite } from './own-write.ts';
import type { Methods } from './service.ts';

export interface LedgerPorts {
  ledger: RunLedger;
  leases: RunLeases;
  authority: RunnerAuthority;
}

type Verb = 'request' | 'replay' | 'append' | 'withdraw' | 'find' | 'status' | 'key';

export function ledgerMethods({ ledger, leases, authority }: LedgerPorts): Pick<Methods, `ledger/${Verb}`> {
  return {
    async 'ledger/request'(machine, { intent, call, write_id }) {
      refuseElsewhere(machine, intent);
      const allowed = await authority.intent(machine, intent, call);
      return seenBy(machine, await ledger.request(owned(machine, allowed, write_id)));
    },
    async 'ledger/replay'(machine, { idempotency, now }) {
      const replay = await ledger.replay(idempotency, now);
      return replay && 'run' in replay && !mayKnow(machine, replay.run) ? null : replay;
    },
    async 'ledger/append'(machine, { event, guard, lease: change, write_id }) {
      if (guard && guard.run_id !== event.run_id) throw new AppError('invalid_argument', 'the guard is of another run');
      const run = await ledger.find(event.run_id);
      if (run?.id !== event.run_id || !mayKnow(machine, run)) {
        throw new AppError('unknown_name', `there is no run ${event.run_id}`);
      }
      if (change && 'release' in change && event.kind !== 'run_finished') {
        throw new AppError('refused', 'the lease of an open run stays');
      }
      const lease = await ownLease(leases, machine, event.run_id);
      // What comes too late is dropped, whatever it says.
      const allowed = comesTooLate(run, event) ? event : await authority.event(machine, event, { run, lease });
      return await ledger.append(allowed, guard ?? undefined, change ?? undefined, ownWrite(machine, write_id));
    },
    async 'ledger/withdraw'(machine, { write_id }) {
      await ledger.withdraw(ownWrite(machine, write_id));
      return null;
    },
    async 'ledger/find'(machine, { id }) {
      const run = await ledger.find(id);
      return run && mayKnow(machine, run) ? run : null;
    },
    'ledger/status': async (machine) => statusFor(machine, await ledger.status()),
    'ledger/key': async () => Buffer.from(await ledger.key('runs')).toString('base64'),
  };
} // prettier-ignore

function refuseElsewhere(machine: Machine, { event: { facts } }: IntentRequest): void {
  const { organization = null, workspace } = facts;
  const isPlace =
    typeof workspace === 'string' && (organization === null || typeof organization === 'string');
  if (isPlace && mayKnow(machine, { organization, workspace })) return;
  throw new AppError('refused', 'the key of this runner does not reach that workspace');
}

/** However long it asks for, a lease ends soon after its holder falls silent. */
function owned(machine: Machine, intent: IntentRequest, write_id: string): IntentRequest {
  const { lease, event } = intent;
  const expires_at = Math.min(lease.expires_at, event.at + LEASE_MS);
  return {
    ...intent,
    lease: { ...lease, expires_at, owner: stamped(machine, lease.owner) },
    write_id: ownWrite(machine, write_id),
  };
}

/** A run that has its id already may be one that it must not know. */
function seenBy(machine: Machine, intent: Intent): Intent {
  if (!('run' in intent) || mayKnow(machine, intent.run)) return intent;
  throw new AppError('refused', 'there is another run of that id');
}

/** Counts are of all workspaces together. */
function statusFor({ identity }: Machine, status: LedgerStatus): LedgerStatus {
  if (identity.scope === null) return status;
  return { ...status, runs: { total: 0, open: 0 }, events: 0, newest_at: null, oldest_at: null };
}
