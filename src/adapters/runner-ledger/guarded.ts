import type { WriteId } from '../../runs/run-ledger.ts';
import type { Withdrawals } from '../../runs/withdrawals.ts';
import { isUnknown } from './wire.ts';

/** Runs a write, and withdraws it if it fails without anybody knowing how. */
export async function guarded<T>(
  withdrawals: Withdrawals,
  write_id: WriteId,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isUnknown(error)) withdrawals.add(write_id);
    throw error;
  }
}
