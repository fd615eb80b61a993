import type { LedgerArchive } from '../ledger/archive.ts';
import type { LedgerWatch, RunLeases, RunLedger } from '../runs/run-ledger.ts';
import type { UntoldRuns } from '../runs/untold.ts';
import type { LedgerUpkeep } from '../ledger/upkeep.ts';
import type { LedgerCheck } from '../ledger/verify.ts';
import type { RunHistory } from './search.ts';
import type { Trail } from './trail.ts';

/** Everything that one ledger offers; an adapter provides all of it. */
export interface Records {
  ledger: RunLedger;
  leases: RunLeases;
  untold: UntoldRuns;
  history: RunHistory;
  trail: Trail;
  watch: LedgerWatch;
  check: LedgerCheck;
  upkeep: LedgerUpkeep;
  archive: LedgerArchive;
  close(): Promise<void>;
}
