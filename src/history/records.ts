import type { LedgerArchive } from '../ledger/archive.ts';
import type { HouseEvents } from '../ledger/house-events.ts';
import type { RunnerExchange } from '../runners/exchange.ts';
import type { LedgerWatch, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import type { Outbox } from '../runs/outbox.ts';
import type { UntoldRuns } from '../runs/untold.ts';
import type { Mirror } from '../ledger/mirror.ts';
import type { LedgerUpkeep } from '../ledger/upkeep.ts';
import type { LedgerCheck } from '../ledger/verify.ts';
import type { WebhookQueue } from '../ledger/webhook-queue.ts';
import type { RunHistory } from './search.ts';
import type { Trail } from './trail.ts';

/** Everything that one ledger offers; an adapter provides all of it. */
export interface Records {
  ledger: RunLedger;
  leases: RunLeases;
  untold: UntoldRuns;
  outbox: Outbox;
  history: RunHistory;
  trail: Trail;
  mirror: Mirror;
  watch: LedgerWatch;
  check: LedgerCheck;
  upkeep: LedgerUpkeep;
  archive: LedgerArchive;
  house: HouseEvents;
  webhooks: WebhookQueue;
  exchange: RunnerExchange;
  /** Does ahead what a first question would wait for; nothing is opened, connected or written. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}
