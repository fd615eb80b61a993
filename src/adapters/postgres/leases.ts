import { randomUUID } from 'node:crypto';
import { AppError } from '../../shared/errors.ts';
import type { ProcessIdentity } from '../../shared/ports.ts';
import type { Lease, RunLeases } from '../../runs/run-ledger.ts';
import type { Database } from './database.ts';
import { isUnknown } from './failures.ts';
import type { Withdrawals } from '../../runs/withdrawals.ts';

interface LeaseRow extends Omit<Lease, 'owner'> {
  owner: string;
  token: string;
}

const NOW = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';

/** Who supervises which run. */
export function createLeases(db: Database, withdrawals: Withdrawals): RunLeases {
  return {
    async now() {
      const [row] = await db.read<{ now: number }>(NOW);
      return row!.now;
    },
    async list() {
      return (await db.read<LeaseRow>('SELECT * FROM leases ORDER BY run_id')).map(fromRow);
    },
    async renew(owner, expires_at) {
      const values = [ownerText(owner), expires_at];
      return (await db.write<LeaseRow>('SELECT * FROM ledger_lease_renew($1, $2)', values)).map(fromRow);
    },
    async take({ run_id, fence }, owner, expires_at, token = randomUUID()) {
      const values = [run_id, fence, ownerText(owner), expires_at, token];
      try {
        const [row] = await db.write<LeaseRow>('SELECT * FROM ledger_lease_take($1, $2, $3, $4, $5)', values);
        return row ? fromRow(row) : null;
      } catch (error) {
        // A lease that we hold without knowing it would keep its run from everybody.
        if (isUnknown(error)) withdrawals.add(token);
        throw error;
      }
    },
    async promote({ run_id, fence }, { executor, alone }) {
      const [row] = await db.write<{ active: string | null; held: boolean }>(
        'SELECT * FROM ledger_lease_promote($1, $2, $3, $4)',
        [run_id, fence, executor, alone],
      );
      if (!row!.held) throw new AppError('lease_lost', `run ${run_id} is supervised by another process now`);
      return row!.active === null ? null : { active: row!.active };
    },
    async give({ run_id, fence }, how) {
      await db.write('SELECT ledger_lease_give($1, $2, $3)', [run_id, fence, how === 'delete']);
    },
  };
}

/** Members in one fixed order, so that equal owners are equal text. */
export function ownerText({ host, boot_id, pid_ns, pid, pid_start, place }: ProcessIdentity): string {
  return JSON.stringify({ host, boot_id, pid_ns, pid, pid_start, place });
}

function fromRow({ token: _, owner, ...row }: LeaseRow): Lease {
  return { ...row, owner: JSON.parse(owner) as ProcessIdentity };
}
