import type { Principal } from '../access/identity.ts';
import type { CallOutcome, CallsEvent } from '../runs/trail-event.ts';
import type { TimeSpan } from './search.ts';

/** Filters as they reach the store. Empty lists do not occur. */
export interface CallFilters {
  tool?: readonly string[];
  /** Subject or display name of the principal, in lower case. */
  principal?: readonly string[];
  outcome?: readonly CallOutcome[];
  /** Only calls of exactly this one, whatever it was called then. */
  own?: Principal;
  span: TimeSpan;
}

export interface CallQuery {
  filters: CallFilters;
  limit: number;
  /** Keyset position behind which to go on, newest first. */
  after: CallPosition | null;
}

export interface CallPosition {
  at: number;
  id: string;
}

/** A row of the table `calls`. What was erased is null. */
export interface RecordedCall extends CallPosition {
  tool: string;
  outcome: CallOutcome;
  code: string | null;
  duration_ms: number;
  run_id: string | null;
  /** JSON texts. */
  principal: string | null;
  client: string | null;
  arguments: string | null;
}

export interface CallPage {
  calls: RecordedCall[];
  total: number;
  next: CallPosition | null;
}

/** The assistant's own trail: what was asked of this ledger's servers. */
export interface Trail {
  /** Appends a batch; durable when it resolves. A rejected one may be stored all the same if the answer was lost. */
  append(event: CallsEvent): Promise<void>;
  search(query: CallQuery): Promise<CallPage>;
  /** Distinct values, at most `limit`; principals by subject and display name, in lower case. */
  names(column: 'tool' | 'principal', limit: number): Promise<string[]>;
}
