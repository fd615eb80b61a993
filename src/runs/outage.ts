import type { Decision } from '../actions/policy.ts';
import { AppError } from '../shared/errors.ts';
import type { IntentRequest } from './run-ledger.ts';

// A ledger whose database is away, and the journal of this machine that stands in for it (adapters/journal).

/** Where the journal stands; times in epoch milliseconds. */
export interface JournalStanding {
  /** `refuse`: nothing new goes into it, what is in it is merged. */
  when_down: 'spool' | 'refuse';
  away_since: number | null;
  /** Runs in it that are not in the database yet, and how many of them have not ended. */
  runs: number;
  open: number;
  last_merge: { at: number; runs: number; bundle: string } | null;
  /** Why it could not be merged; null: nothing is in the way, as far as is known. */
  problem: string | null;
}

export interface Outage {
  /** Since when the database is away; null: it answers, as far as is known. */
  away(): Promise<number | null>;
  /** What an answer about this run, or about none, has to say of the journal; null: nothing. */
  says(run_id: string | null): Promise<string | null>;
  standing(): Promise<JournalStanding>;
}

const WAIT =
  'wait until the database is back; meanwhile only what is allowed without approval, limits and locks runs';

/** Refuses what only the database could decide about, before a human is asked for nothing. */
export async function refuseUndecided(outage: Pick<Outage, 'away'> | null, decision: Decision): Promise<void> {
  const since = (await outage?.away()) ?? null;
  const wanted = since === null ? null : wantedBy(decision);
  if (since === null || wanted === null) return;
  throw new AppError('refused', `not run (${decision.rule}): it wants ${wanted}, and ${awayText(since)}`, { next: WAIT });
} // prettier-ignore

function wantedBy({ decision, limits, lock }: Decision): string | null {
  if (decision === 'approve') return 'an approval, which only the ledger itself can hold';
  if (limits?.concurrency !== undefined || limits?.per_hour !== undefined) {
    return 'runs to be counted, which only the ledger itself can do';
  }
  return lock ? 'a lock that holds on all machines' : null;
}

/** The same for an intent that has come this far all the same. */
export function refuseUnjournalled(since: number, { idempotency, burn, quota, lease }: IntentRequest): void {
  if (idempotency) throw keyUnknown(since);
  if (!burn && !quota && lease.executor !== 'approval' && lease.executor !== 'remote') return;
  throw new AppError('refused', `not run: only the ledger itself can decide about it, and ${awayText(since)}`, { next: WAIT });
} // prettier-ignore

export function keyUnknown(since: number): AppError {
  return new AppError(
    'refused',
    `not run: whether this idempotency_key was used before only the ledger itself knows, and ${awayText(since)}`,
    {
      next: 'if it cannot have run before, call without idempotency_key; else wait until the database is back',
      details: { argument: 'idempotency_key' },
    },
  );
}

export function awayText(since: number): string {
  return `its database is away since ${new Date(since).toISOString()}`;
}
