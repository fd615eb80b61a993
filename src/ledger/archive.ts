import type { RunEvent, LedgerEvent } from '../runs/action-run.ts';
import type { StoredEvent, StoredValue } from './chain.ts';

/** The kind of event that tells where imported runs came from. */
export const BUNDLE_IMPORTED = 'bundle_imported';

export interface BundleEvent extends LedgerEvent {
  kind: typeof BUNDLE_IMPORTED;
  run_id: '';
}

/** An event with what is left of its private values. */
export interface ArchivedEvent {
  event: StoredEvent;
  values: readonly StoredValue[];
}

export interface ImportBatch {
  bundle: BundleEvent;
  /** `run_imported`, one for each run. */
  runs: readonly RunEvent[];
}

/** Events as they are stored, to be taken elsewhere; and history that comes from elsewhere. */
export interface LedgerArchive {
  /** Hashes of the events behind number `after`, in order, at most `limit`. */
  hashes(after: number, limit: number): Promise<string[]>;
  /** All events of these runs, each run's in order. */
  events(run_ids: readonly string[]): Promise<ArchivedEvent[]>;
  /** Those ids that no run has. */
  absent(run_ids: readonly string[]): Promise<string[]>;
  /**
   * In one transaction: appends those runs that are not here, and before them the bundle unless an event says the
   * same of it already. Answers the ids of the appended ones; if there are none, nothing was written.
   */
  import(batch: ImportBatch): Promise<string[]>;
}
