import { messageOf } from '../shared/errors.ts';
import type { ProcessIdentity } from '../shared/ports.ts';
import type { Lease, LeaseGuard } from './run-ledger.ts';
import type { ExecutorKind } from './executor.ts';
import { adoptRun } from './adopt.ts';
import type { Conducting } from './conduct.ts';
import { closeLost, isElsewhere } from './lost.ts';
import { launchAndAttend } from './supervise-run.ts';
import {
  LEASE_MS,
  STOP_GRACE_MS,
  type Handover,
  type LaunchPacket,
  type Supervised,
  type SupervisionPorts,
} from './supervision.ts';

/** How long a cancel request or a time limit may go unnoticed at the most. */
const LOOK_MS = 1_000;

export interface Supervisor {
  /** Resolves when the run has ended and is cleaned up, or was handed on. */
  launch(guard: LeaseGuard, launch: { kind: ExecutorKind; packet: LaunchPacket }): Promise<void>;
  /** The same for a workflow: from the step that it has reached. */
  conduct(guard: LeaseGuard, workflow: Conducting & { timeout_ms: number | null }): Promise<void>;
  /** The same for a run that a Polycrate API is to execute. */
  follow(guard: LeaseGuard): Promise<void>;
  /** Takes every orphaned lease and follows its run, and goes on with what was approved; answers how many. */
  recover(): Promise<number>;
  /** Runs that this process supervises. */
  open(): number;
  /** Gives up all runs; what was not started yet comes back to be passed on. */
  handOver(): Promise<{ released: number; unstarted: Handover[] }>;
  /** Resolves when nothing is supervised any more. */
  idle(): Promise<void>;
}

/** What has no executor, or starts runs through the supervisor, and hence is passed in. */
export interface Conductors {
  workflow(run: Supervised, how: Conducting): Promise<void>;
  /** Asks a Polycrate API to execute it, unless it was asked already, and follows it there. */
  remote(run: Supervised): Promise<void>;
  /** Goes on with runs that waited for approval; answers with how many. */
  approvals(): Promise<number>;
}

export function createSupervisor(ports: SupervisionPorts, conductors: Conductors): Supervisor {
  const runs = new Map<string, { run: Supervised; done: Promise<void> }>();
  const owner = (): ProcessIdentity => ports.processes.self();
  let keeping: Promise<void> | null = null;
  let recovering: Promise<unknown> = Promise.resolve();
  let leaving = false;

  const supervise = (run: Supervised, follow: () => Promise<void>): Promise<void> => {
    const { run_id } = run.guard;
    const done = follow()
      .catch((error: unknown) =>
        ports.log('error', 'supervision failed', { run: run_id, error: messageOf(error) }),
      )
      .finally(() => runs.delete(run_id));
    runs.set(run_id, { run, done });
    keeping ??= keep().finally(() => (keeping = null));
    return done;
  };

  /** Renews leases, hears cancel requests, enforces time limits, for as long as there is a run. */
  const keep = async (): Promise<void> => {
    let renewed = 0;
    while (runs.size > 0) {
      await ports.watch.changed(LOOK_MS);
      try {
        const now = ports.clock.now();
        // Also after the clock was set back, or it would not be renewed for as long.
        const due = Math.abs(now - renewed) > LEASE_MS / 4;
        const leases = due
          ? await ports.leases.renew(owner(), (await ports.leases.now()) + LEASE_MS)
          : await ports.leases.list();
        if (due) renewed = now;
        for (const { run } of runs.values()) attendTo(ports, run, leases);
      } catch (error) {
        ports.log('warn', 'leases could not be renewed', { error: messageOf(error) });
        await ports.clock.sleep(LOOK_MS);
      }
    }
  };

  const recoverOnce = async (): Promise<number> => {
    const now = await ports.leases.now();
    const leases = await ports.leases.list();
    await closeLost(ports, leases, now);
    const orphans = leases.filter(
      (lease) =>
        (ports.executes ? lease.executor !== 'approval' : lease.executor === 'remote') &&
        !runs.has(lease.run_id) &&
        isOrphan(ports, lease, now),
    );
    for (const seen of orphans) {
      if (leaving) break;
      const lease = await ports.leases.take(seen, owner(), now + LEASE_MS);
      const kind = lease?.executor;
      if (!lease || !kind || kind === 'approval') continue;
      const run = supervised(lease, { kind, packet: null, timeout_ms: lease.timeout_ms, adopted: true });
      const follow = async (): Promise<void> => {
        if (kind === 'workflow') return await conductors.workflow(run, { agreed: true });
        if (kind === 'remote') return await conductors.remote(run);
        return await adoptRun(ports, run, { lease, kind });
      };
      // A lease that its living owner does not follow would never be looked at again.
      const orRelease = async (error: unknown): Promise<never> => {
        await ports.leases.give(run.guard, 'release');
        throw error;
      };
      void supervise(run, () => follow().catch(orRelease)).then(goOnWaiting);
    }
    return orphans.length + (await conductors.approvals());
  };

  /** One that was approved and had not begun waits again by now (wait-again.ts). */
  const goOnWaiting = (): Promise<unknown> =>
    conductors.approvals().catch((error: unknown) => {
      ports.log('warn', 'what waits for approval could not be looked at', { error: messageOf(error) });
    });

  return {
    launch(guard, { kind, packet }) {
      const run = supervised(guard, { kind, packet, timeout_ms: packet.spec.timeout_ms });
      return supervise(run, () => launchAndAttend(ports, ports.executor(kind), run));
    },
    conduct(guard, { timeout_ms, agreed }) {
      const run = supervised(guard, { kind: 'workflow', packet: null, timeout_ms });
      return supervise(run, () => conductors.workflow(run, { agreed }));
    },
    follow(guard) {
      const run = supervised(guard, { kind: 'remote', packet: null, timeout_ms: null });
      return supervise(run, () => conductors.remote(run));
    },
    recover() {
      if (leaving) return Promise.resolve(0);
      const pass = recoverOnce();
      recovering = Promise.allSettled([recovering, pass]);
      return pass;
    },
    open: () => runs.size,
    async handOver() {
      leaving = true;
      // What it has taken is handed over with the rest; it takes no more.
      await recovering;
      const workflows = [...runs.values()].filter(({ run }) => run.kind === 'workflow');
      for (const { run } of workflows) run.handOn.abort();
      // One of them may be starting a step, which is an open run then.
      await Promise.all(workflows.map(({ done }) => done));
      const open = [...runs.values()];
      const unstarted: Handover[] = [];
      for (const { run } of open) {
        if (run.packet && !run.launching) unstarted.push({ guard: run.guard, packet: run.packet });
        run.handOn.abort();
        run.abort.abort();
      }
      await Promise.all(open.map(({ done }) => done));
      return { released: workflows.length + open.length - unstarted.length, unstarted };
    },
    async idle() {
      while (runs.size > 0) await Promise.all([...runs.values()].map(({ done }) => done));
    },
  };
}

function supervised(
  { run_id, fence }: LeaseGuard,
  {
    kind,
    packet,
    timeout_ms,
    adopted = false,
  }: Pick<Supervised, 'kind' | 'packet' | 'timeout_ms'> & { adopted?: boolean },
): Supervised {
  return {
    guard: { run_id, fence },
    kind,
    timeout_ms,
    adopted,
    packet,
    launching: null,
    execution: null,
    stopping: null,
    abort: new AbortController(),
    handOn: new AbortController(),
  };
}

/**
 * A lease given up on purpose, of a dead process, or of one that nobody can see and that stopped renewing. Only where
 * its data folder is: there are the values to hide in its output, its log, and the engine that it was started on.
 */
export function isOrphan(
  { processes }: Pick<SupervisionPorts, 'processes'>,
  lease: Lease,
  now: number,
): boolean {
  if (isElsewhere(processes, lease)) return false;
  if (lease.expires_at === 0) return true;
  const state = processes.state(lease.owner);
  return state === 'dead' || (state === 'unseen' && lease.expires_at < now);
}

function attendTo({ clock, log }: SupervisionPorts, run: Supervised, leases: readonly Lease[]): void {
  const lease = leases.find(({ run_id }) => run_id === run.guard.run_id);
  if (lease && lease.fence !== run.guard.fence) {
    log('warn', 'another process took over a run', { run: run.guard.run_id });
    run.handOn.abort();
    return;
  }
  if (run.stopping) return;
  const started = run.execution?.started_at;
  if (lease?.cancel_requested) stop(run, 'cancelled');
  else if (started !== undefined && run.timeout_ms !== null && clock.now() >= started + run.timeout_ms)
    stop(run, 'timeout');
}

function stop(run: Supervised, why: 'cancelled' | 'timeout'): void {
  run.stopping = why;
  run.abort.abort();
  void run.execution?.stop(STOP_GRACE_MS);
}
