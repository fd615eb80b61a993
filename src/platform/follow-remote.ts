import { isOpen, type ActionRun } from '../runs/action-run.ts';
import { storeEnd, type End } from '../runs/finish.ts';
import type { Lease } from '../runs/run-ledger.ts';
import { cleanUp } from '../runs/supervise-run.ts';
import type { Supervised, SupervisionPorts } from '../runs/supervision.ts';
import { isApproved, waitAgain } from '../runs/wait-again.ts';
import { AppError, messageOf } from '../shared/errors.ts';
import { ApiError } from './api-error.ts';
import { pauseAfter } from './attempt.ts';
import { SETTLE_MS } from './deliver.ts';
import type { ApiDirectory } from './endpoints.ts';
import type { PolycrateApi, RolloutItem } from './polycrate-api.ts';
import { noteRun, endOfItem, type RemoteEndPorts } from './remote-end.ts';

export interface FollowPorts extends RemoteEndPorts {
  supervision: SupervisionPorts;
  apis: Pick<ApiDirectory, 'open'>;
  /** Below 1. */
  random(): number;
  /** Only tests wait for less. */
  settle_ms?: number;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
const LONGEST_OUTAGE_PAUSE_MS = 60_000;
/** No document says that an item is ever taken up. */
const PATIENCE_MS = 24 * 60 * 60_000;
const MOST_PAGES = 10;

/** What the lease remembers of the way: `asked:BLOCK` from right before the request, `item:ID` once it is known. */
type Reached = { step: 'asked'; block: string } | { step: 'item'; id: string } | null;

/**
 * Asks a Polycrate API once to execute a recorded run, and follows it to its end. Whoever takes the lease over goes on from
 * what it remembers: what was asked for is looked for, and never asked for again. Never throws.
 */
export function createRemoteFollower(ports: FollowPorts): (run: Supervised) => Promise<void> {
  const { supervision } = ports;
  return async (run) => {
    for (let failures = 1; !run.handOn.signal.aborted; failures++) {
      try {
        return await follow(ports, run);
      } catch (error) {
        if (error instanceof AppError && error.code === 'lease_lost') return;
        supervision.log('warn', 'a run at a Polycrate API cannot be followed yet', { run: run.guard.run_id, error: messageOf(error) });
        await supervision.clock.sleep(waitOf(error, failures, ports.random()), run.handOn.signal);
      }
    }
    await supervision.leases.give(run.guard, 'release').catch(() => undefined);
  };
} // prettier-ignore

function waitOf(error: unknown, failures: number, random: number): number {
  const asked = error instanceof ApiError ? (error.retry_after_ms ?? 0) : 0;
  return Math.max(asked, pauseAfter(failures, random, LONGEST_OUTAGE_PAUSE_MS));
}

async function follow(ports: FollowPorts, run: Supervised): Promise<void> {
  const { supervision } = ports;
  const { run_id } = run.guard;
  const [record, leases] = [await supervision.ledger.find(run_id), await supervision.leases.list()];
  const lease = leases.find((one) => one.run_id === run_id);
  if (!lease || lease.fence !== run.guard.fence) return;
  if (!record || !isOpen(record)) return await cleanUp(supervision, run);
  const name = record.executor?.runner ?? '';
  const api = await ports.apis.open(name);
  if (!api) throw new AppError('configuration', `the Polycrate API ${name} is not configured here`);
  const found = await itemOf(ports, run, { api, record, lease });
  if (!found) return await waitAgain(supervision, run);
  const end = 'end' in found ? found.end : await toTheEnd(ports, run, { api, item: found.item });
  if (!end) return await supervision.leases.give(run.guard, 'release');
  if (await storeEnd(supervision, run.guard, end)) await cleanUp(supervision, run);
}

interface Asking {
  api: PolycrateApi;
  record: ActionRun;
  lease: Lease;
}

type Found = { item: RolloutItem } | { end: End | null };

/** The item of this run: as it is remembered, found again, or made. Null: nothing was asked for, and others agreed to a plan of then. */
async function itemOf(ports: FollowPorts, run: Supervised, { api, record, lease }: Asking): Promise<Found | null> {
  const reached = reachedBy(lease);
  if (reached?.step === 'item') return { item: await whole(api, reached.id) };
  if (reached) return await lookFor(ports, run, { api, record, block: reached.block });
  const now = ports.supervision.clock.now();
  if (run.stopping) return { end: notExecuted('cancelled', 'cancelled before it was asked for', now) };
  // The note comes before the request, so where another process left none it has sent nothing.
  if (run.adopted && isApproved(record)) return null;
  if (run.adopted) return { end: notExecuted('failed', 'not launched: the server ended before it was asked for', now) };
  return await ask(ports, run, { api, record });
} // prettier-ignore

/** As it is now; one that is gone is told as such by its status. */
async function whole(api: PolycrateApi, id: string): Promise<RolloutItem> {
  return await api.rolloutItem(id).catch((error: unknown) => {
    if (error instanceof ApiError && error.fault === 'not_found') return { id, block: '', action: '', status: 'gone', action_run: null, reason: null, retry_after: null };
    throw error;
  });
} // prettier-ignore

function reachedBy({ phase, ref }: Lease): Reached {
  if (phase !== 'running' || ref === null) return null;
  const [step, rest = ''] = ref.split(/:(.*)/s);
  return step === 'item' ? { step, id: rest } : { step: 'asked', block: rest };
}

/** Once: from here on the request may have arrived, whatever happens. */
async function ask(ports: FollowPorts, run: Supervised, { api, record }: Pick<Asking, 'api' | 'record'>): Promise<Found> {
  const { ledger, clock } = ports.supervision;
  const { organization, workspace, block, action } = record;
  const names = { organization: organization!, workspace, block: block! };
  let asked: string | null = null;
  try {
    const ids = await api.find(names);
    await note(ports, run, { ref: `asked:${ids.block}`, facts: { status_reason: `the Polycrate API ${api.name} is asked to execute it` } });
    asked = ids.block;
    const item = await api.createRolloutItem({ block: ids.block, action: action!, reason: reasonOf(record) });
    const other = item.reason !== null && !item.reason.includes(record.id);
    if (other) {
      const why = `not launched: the Polycrate API ${api.name} had another item of the block in its queue (${item.id}), and made none for this run`;
      return { end: notExecuted('failed', why, clock.now()) };
    }
    await noteItem(ports, run, { api, item });
    return { item };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const sent = asked !== null && error.unsure;
    if (!sent) return { end: notExecuted('failed', `not launched: ${ports.redact(error.message)}`, clock.now()) };
    const now = await ledger.find(record.id);
    return await lookFor(ports, run, { api, record: now ?? record, block: asked! });
  }
} // prettier-ignore

/** Who it is, for whoever looks at the API's queue and for us if the answer gets lost. */
function reasonOf({ id, reason }: ActionRun): string {
  return `polycrate-mcp run ${id}${reason ? `: ${reason}` : ''}`;
}

interface Lost {
  api: PolycrateApi;
  record: ActionRun;
  block: string;
}

/** After an answer that never came: the item with our run's id in its reason. The request may still be on its way for a while. */
async function lookFor(ports: FollowPorts, run: Supervised, { api, record, block }: Lost): Promise<Found> {
  const { clock } = ports.supervision;
  const until = clock.now() + (ports.settle_ms ?? SETTLE_MS);
  for (let tries = 1; ; tries++) {
    if (run.handOn.signal.aborted) return { end: null };
    const late = clock.now() > until;
    const item = await listed(api, { block, id: record.id });
    if (item) {
      await noteItem(ports, run, { api, item });
      return { item };
    }
    if (late) break;
    await clock.sleep(Math.min(FIRST_PAUSE_MS * tries, 5_000), run.handOn.signal);
  }
  const why = `the answer of the Polycrate API ${api.name} was lost, and no item in its queue names this run: it may have been executed or not`;
  return { end: { status: 'unknown', status_reason: why, exit_code: null, launched: true, started_at: null, finished_at: clock.now(), log: null } };
} // prettier-ignore

async function listed(api: PolycrateApi, { block, id }: { block: string; id: string }): Promise<RolloutItem | null> {
  for (let page = 1; page <= MOST_PAGES; page++) {
    const { items, more } = await api.rolloutItems({ block, page });
    const found = items.find(({ reason }) => reason?.includes(id));
    if (found) return found;
    if (!more) break;
  }
  return null;
} // prettier-ignore

async function noteItem(ports: FollowPorts, run: Supervised, { api, item }: { api: PolycrateApi; item: RolloutItem }): Promise<void> {
  const facts = { 'executor.container': item.id, status_reason: `queued at the Polycrate API ${api.name} as item ${item.id}` };
  await note(ports, run, { ref: `item:${item.id}`, facts });
} // prettier-ignore

async function note(
  { supervision: { ledger, clock } }: FollowPorts,
  { guard }: Supervised,
  { ref, facts }: { ref: string; facts: Record<string, string> },
): Promise<void> {
  await ledger.append(
    { kind: 'run_queued', run_id: guard.run_id, at: clock.now(), facts, private: {} },
    guard,
    { phase: 'running', ref },
  );
}

/** Looks at the item until it is over. Null: handed on. */
async function toTheEnd(
  ports: FollowPorts,
  run: Supervised,
  { api, item: first }: { api: PolycrateApi; item: RolloutItem },
): Promise<End | null> {
  const { clock, ledger } = ports.supervision;
  let item = first;
  for (let looks = 0; ; looks++) {
    const record = await ledger.find(run.guard.run_id);
    if (!record || !isOpen(record)) return null;
    if (item.action_run !== null) await noteRun(ports, run, { api, record, id: item.action_run });
    const end = await endOfItem(ports, { api, item, record });
    if (end) return end;
    if (clock.now() - record.requested_at > PATIENCE_MS) {
      const why = `nothing came of it at the Polycrate API ${api.name} in 24 hours (its item ${item.id} is ${item.status}), so nobody follows it any more`;
      return { status: 'unknown', status_reason: why, exit_code: null, launched: true, started_at: record.started_at, finished_at: clock.now(), log: null };
    }
    await clock.sleep(Math.min(FIRST_PAUSE_MS * 1.3 ** looks, LONGEST_PAUSE_MS), run.handOn.signal);
    if (run.handOn.signal.aborted) return null;
    item = await whole(api, item.id);
  }
} // prettier-ignore

function notExecuted(status: 'failed' | 'cancelled', status_reason: string, finished_at: number): End {
  return {
    status,
    status_reason,
    exit_code: null,
    launched: false,
    started_at: null,
    finished_at,
    log: null,
  };
}
