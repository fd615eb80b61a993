import type { LedgerWatch, RunLeases, RunLedger } from '../../runs/run-ledger.ts';
import type { LogPieces, RunLogs } from '../../runs/run-log.ts';
import type { Requesters } from '../../runs/requesters.ts';
import { createWithdrawals } from '../../runs/withdrawals.ts';
import type { UntoldRuns } from '../../runs/untold.ts';
import type { Clock, Log } from '../../shared/ports.ts';
import type { CallSource } from '../../runners/attend.ts';
import { createCallSource } from './calls.ts';
import { createLeases, createUntold } from './leases.ts';
import { createLedger, rememberedKey } from './ledger.ts';
import { createShippedLogs, type ShippedLogs } from './logs.ts';
import { createWatch } from './watch.ts';
import { createWire, type Fetch } from './wire.ts';

export interface RunnerLedgerOptions {
  /** Of the server. */
  url: string;
  /** Of the role machine; asked for with each request, so that it may be replaced while the runner works. */
  key(): string;
  /** The name of the data folder, which only this runner and its server know. */
  place: string;
  /**
   * Logs are written here, and copied to the server while they are written. A folder of its own in the data folder: what
   * is in it leaves when it is at the server.
   */
  local: { logs: RunLogs; pieces: LogPieces };
  clock: Clock;
  log: Log;
  /** Default: Node's own, which knows neither the operator's proxies nor authorities. */
  fetch?: Fetch;
  /** A request without an answer is sent again for so long. */
  patience_ms?: number;
}

/**
 * The records of a server, as far as a runner supervises runs for it. Questions about the past, the trail, the outbox, the mirror,
 * verification and what is of the house are the server's alone: a runner has nothing of them. `answer` and `proof` of the
 * ledger are refused, and so is its secret key but for the use `runs`.
 */
export interface RunnerLedger {
  /** Starts steps of workflows that this runner conducts. */
  ledger: RunLedger;
  /** The same for what is started for a call that the server handed over, by the server's id of it. */
  ledgerFor(call: string): RunLedger;
  /** Of this data folder only. */
  leases: RunLeases;
  untold: UntoldRuns;
  requesters: Requesters;
  watch: LedgerWatch;
  /** `put` is refused: what other programs logged is imported by the server. */
  logs: Omit<ShippedLogs, 'close'>;
  calls: CallSource;
  close(): Promise<void>;
}

/** The ledger of a server over HTTP. Nothing is connected before the first call. */
export function createRunnerLedger(options: RunnerLedgerOptions): RunnerLedger {
  const wire = createWire(options);
  const withdrawals = createWithdrawals(
    (write_id) => wire.call('ledger/withdraw', { write_id }),
    options.log,
  );
  const watch = createWatch(wire, options.clock);
  const logs = createShippedLogs({ wire, local: options.local, clock: options.clock, log: options.log });
  const parts = { wire, withdrawals, key: rememberedKey(wire), url: options.url };
  return {
    ledger: createLedger(parts, null),
    ledgerFor: (call) => createLedger(parts, call),
    leases: createLeases({ wire, withdrawals, logs }),
    untold: createUntold(wire),
    requesters: {
      refusal: (principal, max_age_ms) => wire.call('requesters/refusal', { principal, max_age_ms }),
    },
    watch,
    logs,
    calls: createCallSource(wire),
    async close() {
      watch.close();
      withdrawals.close();
      await logs.close();
    },
  };
}
