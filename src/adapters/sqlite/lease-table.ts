import type { Database } from 'better-sqlite3';
import { AppError } from '../../shared/errors.ts';
import type { ProcessIdentity } from '../../shared/ports.ts';
import type { WritesTable } from './writes-table.ts';
import type {
  IntentRequest,
  Lease,
  LeaseChange,
  LeaseGuard,
  LeaseKind,
  WriteId,
} from '../../runs/run-ledger.ts';

/** Who supervises which run. Working state: losing it loses no history, only the adoption of open runs. */
export interface LeaseTable {
  create(lease: IntentRequest['lease']): void;
  list(): Lease[];
  renew(owner: ProcessIdentity, expires_at: number): Lease[];
  take(seen: LeaseGuard, owner: ProcessIdentity, expires_at: number, write_id?: WriteId): Lease | null;
  give(guard: LeaseGuard, how: 'release' | 'delete'): void;
  /** Throws `lease_lost` unless this fence is the current one. */
  hold(guard: LeaseGuard): void;
  change(guard: LeaseGuard, change: LeaseChange): void;
  become(guard: LeaseGuard, kind: LeaseKind): void;
  requestCancel(run_id: string): void;
}

interface LeaseRow extends Omit<Lease, 'owner' | 'cancel_requested'> {
  owner: string;
  cancel_requested: number;
}

export function createLeaseTable(db: Database, writes: WritesTable): LeaseTable {
  const insert = db.prepare(
    'INSERT INTO leases (run_id, owner, fence, executor, phase, ref, expires_at, timeout_ms) VALUES (?, ?, 1, ?, ?, ?, ?, ?)',
  );
  const all = db.prepare('SELECT * FROM leases ORDER BY run_id');
  const mine = db.prepare('SELECT * FROM leases WHERE owner = ? ORDER BY run_id');
  const one = db.prepare('SELECT * FROM leases WHERE run_id = ?');
  const prolong = db.prepare('UPDATE leases SET expires_at = ? WHERE owner = ? AND expires_at > 0');
  const takeOver = db.prepare(
    'UPDATE leases SET owner = ?, expires_at = ?, fence = fence + 1 WHERE run_id = ? AND fence = ?',
  );
  const release = db.prepare('UPDATE leases SET expires_at = 0 WHERE run_id = ? AND fence = ?');
  const remove = db.prepare('DELETE FROM leases WHERE run_id = ? AND fence = ?');
  const move = db.prepare('UPDATE leases SET phase = ?, ref = ? WHERE run_id = ? AND fence = ?');
  const become = db.prepare('UPDATE leases SET executor = ? WHERE run_id = ? AND fence = ?');
  const cancel = db.prepare('UPDATE leases SET cancel_requested = 1 WHERE run_id = ?');
  const fence = db.prepare('SELECT fence FROM leases WHERE run_id = ?').pluck();

  const renew = db.transaction((owner: string, expires_at: number): Lease[] => {
    prolong.run(expires_at, owner);
    return (mine.all(owner) as LeaseRow[]).map(fromRow);
  });
  const lease = (run_id: string): Lease | null => {
    const row = one.get(run_id) as LeaseRow | undefined;
    return row ? fromRow(row) : null;
  };
  const take = db.transaction<LeaseTable['take']>((seen, owner, expires_at, write_id) => {
    const taken = seen.fence + 1;
    if (writes.seen(write_id)) {
      const now = lease(seen.run_id);
      return now?.fence === taken ? now : null;
    }
    const { changes } = takeOver.run(ownerText(owner), expires_at, seen.run_id, seen.fence);
    if (changes === 0) return null;
    writes.note(write_id, { run_id: seen.run_id, fence: taken });
    return lease(seen.run_id);
  });
  return {
    create: (lease) =>
      void insert.run(
        lease.run_id, ownerText(lease.owner), lease.executor, lease.phase, lease.ref, lease.expires_at, lease.timeout_ms,
      ), // prettier-ignore
    list: () => (all.all() as LeaseRow[]).map(fromRow),
    renew: (owner, expires_at) => renew.immediate(ownerText(owner), expires_at),
    take: (seen, owner, expires_at, write_id) => take.immediate(seen, owner, expires_at, write_id),
    give: ({ run_id, fence: held }, how) => void (how === 'release' ? release : remove).run(run_id, held),
    hold({ run_id, fence: held }) {
      if (fence.get(run_id) !== held) {
        throw new AppError('lease_lost', `run ${run_id} is supervised by another process now`);
      }
    },
    change({ run_id, fence: held }, change) {
      if ('release' in change) remove.run(run_id, held);
      else move.run(change.phase, change.ref, run_id, held);
    },
    become: ({ run_id, fence: held }, kind) => void become.run(kind, run_id, held),
    requestCancel: (run_id) => void cancel.run(run_id),
  };
}

/** Members in one fixed order, so that equal owners are equal text. */
export function ownerText({ host, boot_id, pid_ns, pid, pid_start, place }: ProcessIdentity): string {
  return JSON.stringify({ host, boot_id, pid_ns, pid, pid_start, place });
}

function fromRow(row: LeaseRow): Lease {
  return {
    ...row,
    owner: JSON.parse(row.owner) as ProcessIdentity,
    cancel_requested: row.cancel_requested === 1,
  };
}
