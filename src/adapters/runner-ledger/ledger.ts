import { randomUUID } from 'node:crypto';
import { AppError } from '../../shared/errors.ts';
import type { RunLedger } from '../../runs/run-ledger.ts';
import type { Wire } from './wire.ts';
import type { Withdrawals } from '../../runs/withdrawals.ts';
import { guarded } from './guarded.ts';

export interface LedgerParts {
  wire: Wire;
  withdrawals: Withdrawals;
  /** For digests of runs. */
  key(): Promise<Uint8Array>;
  url: string;
}

/** The same for the whole life of a ledger; asked for again only if it could not be had. */
export function rememberedKey(wire: Pick<Wire, 'call'>): LedgerParts['key'] {
  let key: Promise<Uint8Array> | null = null;
  return () => {
    if (key) return key;
    key = wire.call('ledger/key', {}).then((text) => new Uint8Array(Buffer.from(text, 'base64')));
    key.catch(() => (key = null));
    return key;
  };
}

/** `call`: the server's call that runs are started for; null: only steps of own workflows are. */
export function createLedger({ wire, withdrawals, key, url }: LedgerParts, call: string | null): RunLedger {
  return {
    request(given) {
      const write_id = given.write_id ?? randomUUID();
      // The calls that led to it are in the server's own trail.
      const { write_id: _, ...intent } = { ...given, calls: null };
      return guarded(withdrawals, write_id, () => wire.call('ledger/request', { intent, call, write_id }));
    },
    append: (event, guard, lease, write_id = randomUUID()) =>
      wire.call('ledger/append', {
        event,
        guard: guard ? plain(guard) : null,
        lease: lease ?? null,
        write_id,
      }),
    async withdraw(write_id) {
      await wire.call('ledger/withdraw', { write_id });
    },
    replay: (idempotency, now) => wire.call('ledger/replay', { idempotency, now }),
    find: (id) => wire.call('ledger/find', { id }),
    status: async () => ({ ...(await wire.call('ledger/status', {})), location: url }),
    async key(use) {
      if (use !== 'runs') throw serverOnly('the secret key of the ledger');
      return await key();
    },
    answer: () => Promise.reject(serverOnly('an answer to what waits for approval')),
    proof: () => Promise.reject(serverOnly('the proof of a run')),
  };
}

/** A lease is a guard, too, and has more. */
export function plain({ run_id, fence }: { run_id: string; fence: number }): {
  run_id: string;
  fence: number;
} {
  return { run_id, fence };
}

function serverOnly(what: string): AppError {
  return new AppError('refused', `${what} is not for a runner`, { next: 'ask the server for it' });
}
