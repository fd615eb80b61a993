import type { Log } from '../../shared/ports.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Database } from './database.ts';

const AGAIN_MS = 2_000;

/** Calls that failed without an answer: their callers were told so, hence they must not take effect any more. */
export interface Withdrawals {
  add(token: string): void;
  close(): void;
}

/** Withdraws them as soon as the database answers; if this process ends before, its leases are orphans anyhow. */
export function createWithdrawals({ write }: Pick<Database, 'write'>, log: Log): Withdrawals {
  const tokens = new Set<string>();
  let timer: NodeJS.Timeout | null = null;
  let closed = false;

  const plan = (): void => {
    if (timer || closed || tokens.size === 0) return;
    timer = setTimeout(() => void attempt(), AGAIN_MS).unref();
  };
  const attempt = async (): Promise<void> => {
    try {
      for (const token of tokens) {
        await write('SELECT ledger_withdraw($1)', [token]);
        tokens.delete(token);
      }
    } catch (error) {
      log('warn', 'calls without an answer could not be withdrawn yet', { error: messageOf(error) });
    } finally {
      timer = null;
      plan();
    }
  };
  return {
    add(token) {
      tokens.add(token);
      plan();
    },
    close() {
      closed = true;
      if (timer) clearTimeout(timer);
    },
  };
}
