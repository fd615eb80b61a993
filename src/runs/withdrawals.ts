import { messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/ports.ts';
import type { WriteId } from './run-ledger.ts';

const AGAIN_MS = 2_000;

/** Writes that failed without an answer: their callers were told so, hence they must not take effect any more. */
export interface Withdrawals {
  add(id: WriteId): void;
  close(): void;
}

/** Withdraws them as soon as the ledger answers; if this process ends before, its leases are orphans anyhow. */
export function createWithdrawals(withdraw: (id: WriteId) => Promise<unknown>, log: Log): Withdrawals {
  const ids = new Set<WriteId>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const plan = (): void => {
    if (timer || closed || ids.size === 0) return;
    timer = setTimeout(() => void attempt(), AGAIN_MS).unref();
  };
  const attempt = async (): Promise<void> => {
    try {
      for (const id of ids) {
        await withdraw(id);
        ids.delete(id);
      }
    } catch (error) {
      log('warn', 'writes without an answer could not be withdrawn yet', { error: messageOf(error) });
    } finally {
      timer = null;
      plan();
    }
  };
  return {
    add(id) {
      ids.add(id);
      plan();
    },
    close() {
      closed = true;
      if (timer) clearTimeout(timer);
    },
  };
}
