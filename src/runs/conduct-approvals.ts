import { messageOf } from '../shared/errors.ts';
import { addressOf } from '../workspaces/workspace.ts';
import { isOpen, type ActionRun } from './action-run.ts';
import { isOrphan } from './supervisor.ts';
import type { Lease } from './run-ledger.ts';
import { goOn } from './launch-approved.ts';
import { endUnstarted, type StartPorts } from './start.ts';
import { LEASE_MS } from './supervision.ts';

/** How long an answer or an expiry may go unnoticed at the most while somebody waits. */
const LOOK_MS = 2_000;
/** How late it may be noticed that the key of who asked is no more; right before a launch it is looked at anew. */
const KEYS_MS = 1_000;
/** After a look that led to nothing (the engine is away, another run is in the way). */
const BACK_OFF_MS = 3_000;

/** Goes on with runs that others had to agree to. Every server of the ledger has one; the lease decides which of them acts. */
export interface ApprovalWatch {
  /** One look at all that wait: what was agreed to is launched, what expired or was cancelled is closed. Answers how many it moved. */
  look(): Promise<number>;
  /** From now on this process looks whenever the ledger changes, as long as something waits. */
  begin(): void;
  /** Something waits now. */
  watch(): void;
  /** Resolves when nothing is being launched by it any more. */
  end(): Promise<void>;
}

export function createApprovalWatch(ports: () => StartPorts): ApprovalWatch {
  const ended = new AbortController();
  const notBefore = new Map<string, number>();
  let begun = false;
  let watching: Promise<void> | null = null;
  let looking: Promise<Look> | null = null;

  const pass = async (): Promise<Look> => {
    const { supervision, clock } = ports();
    const waiting = (await supervision.leases.list()).filter(({ executor }) => executor === 'approval');
    let moved = 0;
    for (const lease of waiting) {
      if (ended.signal.aborted) break;
      if ((notBefore.get(lease.run_id) ?? 0) > clock.now()) continue;
      notBefore.delete(lease.run_id);
      const outcome = await settle(ports(), lease).catch((error: unknown) => {
        supervision.log('warn', 'a run that waits for approval cannot go on yet', {
          run: lease.run_id,
          error: messageOf(error),
        });
        return 'later' as const;
      });
      if (outcome === 'moved') moved += 1;
      if (outcome === 'later') notBefore.set(lease.run_id, clock.now() + BACK_OFF_MS);
    }
    return { moved, waiting: waiting.length };
  };
  /** One after the other: what was stored before somebody asked for a look is seen by it. */
  const look = (): Promise<Look> => {
    const before = looking ?? Promise.resolve(NOTHING);
    const own = before.catch(() => NOTHING).then(pass);
    looking = own;
    return own.finally(() => {
      if (looking === own) looking = null;
    });
  };
  const loop = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const { waiting } = await look().catch(() => FAILED);
      if (waiting === 0) return;
      await ports().supervision.watch.changed(LOOK_MS, ended.signal);
    }
  };
  const watch = (): void => {
    if (!begun || ended.signal.aborted) return;
    watching ??= loop().finally(() => (watching = null));
  };
  return {
    async look() {
      if (ended.signal.aborted) return 0;
      const { moved, waiting } = await look();
      if (waiting > moved) watch();
      return moved;
    },
    begin() {
      begun = true;
    },
    watch,
    async end() {
      ended.abort();
      await Promise.all([watching, looking?.catch(() => NOTHING)]);
    },
  };
}

interface Look {
  moved: number;
  waiting: number;
}

const NOTHING: Look = { moved: 0, waiting: 0 };
/** Nobody knows whether something waits. */
const FAILED: Look = { moved: 0, waiting: 1 };

type Outcome = 'moved' | 'later' | 'waits';

/** What has to happen with a run that waits, if anything has, and if nobody else sees to it. */
async function settle(ports: StartPorts, seen: Lease): Promise<Outcome> {
  const { leases, ledger, processes } = ports.supervision;
  const [run, now] = [await ledger.find(seen.run_id), await leases.now()];
  if (!run) return 'waits';
  const refused = await refusalOf(ports, run, KEYS_MS);
  if (refused === null && !isDue(run, seen, now)) return 'waits';
  const closes = !isOpen(run) || seen.cancel_requested || isExpired(run, now) || refused !== null;
  if (!closes && !(await isOurs(ports, run))) return 'later';
  if (!isOrphan({ processes }, seen, now)) return 'waits';
  const lease = await leases.take(seen, processes.self(), now + LEASE_MS);
  if (!lease) return 'waits';
  try {
    const why = refused ?? (await refusalOf(ports, run, 0));
    if (closes || why !== null) {
      await close(ports, lease, run, why);
      return 'moved';
    }
    if (await goOn(ports, lease, run)) return 'moved';
  } catch (error) {
    await leases.give(lease, 'release').catch(() => undefined);
    throw error;
  }
  await leases.give(lease, 'release');
  return 'later';
}

function isDue(run: ActionRun, { cancel_requested }: Lease, now: number): boolean {
  const isAsked = run.approval_request !== undefined;
  return !isOpen(run) || cancel_requested || !isAsked || run.approved_at !== null || isExpired(run, now);
}

function isExpired({ approval_request: request }: ActionRun, now: number): boolean {
  return request !== undefined && now >= request.expires_at;
}

/** Why who asked may not have it any more; null: they may, or nobody knows any more who it was. */
async function refusalOf({ requesters }: StartPorts, { principal }: ActionRun, max_age_ms: number): Promise<string | null> {
  return principal ? await requesters.refusal(principal, max_age_ms) : null;
} // prettier-ignore

async function close(ports: StartPorts, lease: Lease, run: ActionRun, why: string | null): Promise<void> {
  if (!isOpen(run)) {
    await ports.files.remove(run.id);
    return await ports.supervision.leases.give(lease, 'delete');
  }
  await endUnstarted(ports, lease, whyClosed(lease, run, why), 'cancelled');
}

function whyClosed({ cancel_requested }: Lease, { approved_at }: ActionRun, why: string | null): string {
  if (cancel_requested) return 'cancelled before it started';
  if (why !== null) return `cancelled before it started: ${why}`;
  return approved_at === null
    ? 'expired: not enough people approved it in time'
    : 'expired: it was approved, but could not be started before the approval expired';
}

/**
 * A workspace of the same name may be another one on another machine, or be run in another way there: then its plan
 * is none of ours to judge.
 */
async function isOurs(ports: StartPorts, run: ActionRun): Promise<boolean> {
  const { store, executor, policy, remote, supervision } = ports;
  // What a rule asked for is for who has rules; a run mode alone would ask for less.
  if (!policy.policies && (run.policy_digest ?? null) !== null) return false;
  if (run.executor?.kind === 'remote') return await remote.knows(run.executor.runner ?? '');
  if (!supervision.executes || (run.executor?.runner ?? null) !== ports.runner) return false;
  if (run.executor && run.executor.kind !== executor.kind) return false;
  const address = addressOf({ organization: run.organization, name: run.workspace });
  return (await store.list()).some(
    (workspace) => addressOf(workspace) === address && workspace.path === run.workspace_path,
  );
}
