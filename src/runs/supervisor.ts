import { messageOf } from '../shared/errors.ts';
import type { Lease, LeaseGuard } from './run-ledger.ts';
import type { ExecutorKind } from './executor.ts';
import { adoptRun } from './adopt.ts';
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
  /** Takes every orphaned lease and follows its run; answers how many were taken. */
  recover(): Promise<number>;
  /** Runs that this process supervises. */
  open(): number;
  /** Gives up all runs; what was not started yet comes back to be passed on. */
  handOver(): Promise<{ released: number; unstarted: Handover[] }>;
  /** Resolves when nothing is supervised any more. */
  idle(): Promise<void>;
}

export function createSupervisor(ports: SupervisionPorts): Supervisor {
  const runs = new Map<string, { run: Supervised; done: Promise<void> }>();
  const owner = ports.processes.self();
  let keeping: Promise<void> | null = null;

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
        // Also after the clock was set back, or another host would find the lease expired.
        const due = Math.abs(now - renewed) > LEASE_MS / 4;
        const leases = due ? await ports.leases.renew(owner, now + LEASE_MS) : await ports.leases.list();
        if (due) renewed = now;
        for (const { run } of runs.values()) attendTo(ports, run, leases);
      } catch (error) {
        ports.log('warn', 'leases could not be renewed', { error: messageOf(error) });
        await ports.clock.sleep(LOOK_MS);
      }
    }
  };

  return {
    launch(guard, { kind, packet }) {
      const run = supervised(guard, { kind, packet, timeout_ms: packet.spec.timeout_ms });
      return supervise(run, () => launchAndAttend(ports, ports.executor(kind), run));
    },
    async recover() {
      const now = ports.clock.now();
      const orphans = (await ports.leases.list()).filter(
        (lease) => !runs.has(lease.run_id) && isOrphan(ports, lease, now),
      );
      for (const seen of orphans) {
        const lease = await ports.leases.take(seen, owner, now + LEASE_MS);
        if (!lease) continue;
        const run = supervised(lease, { kind: lease.executor, packet: null, timeout_ms: lease.timeout_ms });
        void supervise(run, () => adoptRun(ports, run, lease));
      }
      return orphans.length;
    },
    open: () => runs.size,
    async handOver() {
      const open = [...runs.values()];
      const unstarted: Handover[] = [];
      for (const { run } of open) {
        if (run.packet && !run.launching) unstarted.push({ guard: run.guard, packet: run.packet });
        run.handOn.abort();
        run.abort.abort();
      }
      await Promise.all(open.map(({ done }) => done));
      return { released: open.length - unstarted.length, unstarted };
    },
    async idle() {
      while (runs.size > 0) await Promise.all([...runs.values()].map(({ done }) => done));
    },
  };
}

function supervised(
  { run_id, fence }: LeaseGuard,
  { kind, packet, timeout_ms }: Pick<Supervised, 'kind' | 'packet' | 'timeout_ms'>,
): Supervised {
  return {
    guard: { run_id, fence },
    kind,
    timeout_ms,
    packet,
    launching: null,
    execution: null,
    stopping: null,
    abort: new AbortController(),
    handOn: new AbortController(),
  };
}

/** A lease given up on purpose, of a dead process, or of one that nobody can see and that stopped renewing. */
export function isOrphan(
  { processes }: Pick<SupervisionPorts, 'processes'>,
  lease: Lease,
  now: number,
): boolean {
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
