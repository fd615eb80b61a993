import type { Records } from '../../history/records.ts';
import type { RunFilters, RunQuery } from '../../history/search.ts';
import type { JsonObject } from '../../shared/json.ts';
import { AppError } from '../../shared/errors.ts';
import { isOpen, type ActionRun } from '../../runs/action-run.ts';
import { refuseUnjournalled } from '../../runs/outage.ts';
import type { Clock } from '../../shared/ports.ts';
import type { Intent, IntentRequest } from '../../runs/run-ledger.ts';
import type { Beside, OpenRun, Target } from './beside.ts';
import type { Journal } from './journal.ts';
import type { Reach } from './reach.ts';

export interface RequestParts {
  database: Pick<Records, 'ledger' | 'history'>;
  journal: Journal;
  reach: Reach;
  /** Null: no open runs are noted, since nothing new is journalled. */
  beside: Pick<Beside, 'open'> | null;
  /** Whether the run of a note still goes on, or is about to begin. */
  goesOn(run: OpenRun): Promise<boolean>;
  clock: Clock;
}

/** Into which of the two an intent goes, and what is in its way in the other one. */
export async function request(parts: RequestParts, intent: IntentRequest): Promise<Intent> {
  const { parent } = intent.event.facts;
  // A step is recorded where its workflow is, whatever has happened since.
  if (typeof parent === 'string' && (await parts.journal.has(parent))) return await journalledStep(parts, intent);
  const since = typeof parent === 'string' ? null : await parts.reach.away();
  return since === null ? await inDatabase(parts, intent) : await inJournal(parts, intent, since);
} // prettier-ignore

async function inJournal(parts: RequestParts, intent: IntentRequest, since: number): Promise<Intent> {
  refuseUnjournalled(since, intent);
  return await journalled(parts, intent, (target) => goingOn(parts, target));
}

/** The workflow was let in while the database was away; by now others may have a run of the block open there. */
async function journalledStep(parts: RequestParts, intent: IntentRequest): Promise<Intent> {
  const since = await parts.reach.away();
  if (since !== null) return await inJournal(parts, intent, since);
  if (intent.quota) throw uncounted();
  return await journalled(parts, intent, async (target) => (await openThere(parts, target)) ?? (await goingOn(parts, target)));
} // prettier-ignore

type Look = (target: Target) => Promise<string | null>;

/** Looked at before and after: another process, which sees the database otherwise, may ask it meanwhile. */
async function journalled({ journal, clock }: RequestParts, intent: IntentRequest, look: Look): Promise<Intent> {
  const { event: { run_id, facts }, exclusive } = intent;
  const active = async (): Promise<string | null> => (exclusive ? await look(targetOf(facts)) : null);
  const before = await active();
  if (before !== null) return { outcome: 'active', run_id: before };
  const { ledger } = journal.records;
  const stored = await ledger.request(unreported(intent));
  const meanwhile = stored.outcome === 'stored' ? await active() : null;
  if (stored.outcome !== 'stored' || meanwhile === null) return stored;
  const at = clock.now();
  const end = { status: 'failed', status_reason: `not launched: run ${meanwhile} is still open`, finished_at: at };
  const guard = { run_id, fence: stored.fence };
  await ledger.append({ kind: 'run_finished', run_id, at, facts: end, private: {} }, guard, { release: true });
  return { outcome: 'active', run_id: meanwhile };
} // prettier-ignore

/** Its rule was another one when the workflow was let in. */
function uncounted(): AppError {
  const why = 'its rule wants runs to be counted, and its workflow was begun in the journal';
  return new AppError('refused', why, { next: 'run what is left of the workflow by itself' });
}

async function inDatabase(parts: RequestParts, intent: IntentRequest): Promise<Intent> {
  const { database, journal, reach, beside, clock } = parts;
  const { event, lease, exclusive } = intent;
  const target = targetOf(event.facts);
  const noted = lease.executor === 'approval' || lease.executor === 'remote' ? null : beside;
  // Before the look at the journal: of two that look at each other, one sees the other.
  await noted?.open.put({ ...target, run_id: event.run_id, executor: lease.executor, owner: lease.owner, at: clock.now() });
  let stored: Intent | null = null;
  try {
    const active = exclusive ? await openIn(journal, target) : null;
    if (active !== null) return { outcome: 'active', run_id: active };
    return (stored = await reach.try(() => database.ledger.request(intent)));
  } finally {
    // Where the answer was lost, it never launches. A step may have been asked for by another supervisor before.
    const isThere = stored !== null && 'run' in stored && stored.run.id === event.run_id;
    if (!isThere) await noted?.open.remove(event.run_id);
  }
} // prettier-ignore

/** Of a record, or of the facts that it begins with. */
export function targetOf(of: JsonObject | ActionRun): Target {
  const { organization, workspace, kind, workflow, block } = of as ActionRun;
  return { organization, workspace, kind, name: kind === 'workflow' ? workflow : block };
}

function isSame(a: Target, b: Target): boolean {
  return (['organization', 'workspace', 'kind', 'name'] as const).every((part) => a[part] === b[part]);
}

/** A run of the database that this machine still executes. */
async function goingOn({ beside, goesOn }: RequestParts, target: Target): Promise<string | null> {
  for (const run of (await beside?.open.list()) ?? []) {
    if (isSame(run, target) && (await goesOn(run))) return run.run_id;
  }
  return null;
}

/** Each open run has a lease. */
export async function openIn(journal: Journal, target: Target): Promise<string | null> {
  if (!journal.isThere()) return null;
  const { ledger, leases } = journal.records;
  for (const { run_id } of await leases.list()) {
    const run = await ledger.find(run_id);
    if (run && isOpen(run) && isSame(targetOf(run), target)) return run_id;
  }
  return null;
}

async function openThere({ database, reach }: RequestParts, target: Target): Promise<string | null> {
  const { organization, workspace, name } = target;
  const filters: RunFilters = {
    ...(organization !== null && { organization: [organization] }),
    ...{ workspace: [workspace], block: [name ?? ''], status: ['pending', 'running'] },
    ...{ span: { since: null, until: null }, time_field: 'started' },
  };
  const query: RunQuery = { filters, include_excluded: true, order: 'oldest', limit: 1, after: null };
  const { runs } = await reach.ask(() => database.history.search(query));
  return runs[0]?.id ?? null;
}

/** No outbox comes with it into the database, so its record says that it was not reported. */
function unreported({ submission, event, ...intent }: IntentRequest): IntentRequest {
  if (!submission) return { ...intent, event };
  const api = { endpoint: submission.endpoint, action_run_id: null, url: null, submission: 'failed' };
  return { ...intent, event: { ...event, facts: { ...event.facts, api } }, submission: null };
}
