import { randomUUID } from 'node:crypto';
import { AppError } from '../../shared/errors.ts';
import type { RunLeases } from '../../runs/run-ledger.ts';
import type { UntoldRuns } from '../../runs/untold.ts';
import { plain } from './ledger.ts';
import type { ShippedLogs } from './logs.ts';
import type { Wire } from './wire.ts';
import type { Withdrawals } from '../../runs/withdrawals.ts';
import { guarded } from './guarded.ts';

interface LeaseParts {
  wire: Wire;
  withdrawals: Withdrawals;
  logs: Pick<ShippedLogs, 'settle'>;
}

export function createLeases({ wire, withdrawals, logs }: LeaseParts): RunLeases {
  return {
    now: () => wire.call('leases/now', {}),
    list: () => wire.call('leases/list', {}),
    renew: (owner, expires_at) => wire.call('leases/renew', { owner, expires_at }),
    take: (seen, owner, expires_at, write_id = randomUUID()) =>
      guarded(withdrawals, write_id, () =>
        wire.call('leases/take', { seen: plain(seen), owner, expires_at, write_id }),
      ),
    promote: (guard, to) => wire.call('leases/promote', { guard: plain(guard), to }),
    async give(guard, how) {
      // Its log is written by whoever holds the lease, so the lease goes last.
      if (how === 'delete') await logs.settle(guard.run_id);
      await wire.call('leases/give', { guard: plain(guard), how });
    },
  };
}

export function createUntold(wire: Wire): UntoldRuns {
  return {
    find: (call, since) => wire.call('untold/find', { call, since }),
    async pass(seen, to) {
      let attempts = 0;
      const passed = await wire.call('untold/pass', { seen, to }, () => (attempts += 1));
      if (passed || attempts === 1) return passed;
      throw new AppError('ledger_unavailable', 'nobody knows whether an earlier run is told to this caller');
    },
    async told(run_id) {
      await wire.call('untold/told', { run_id });
    },
  };
}
