import type { ImageBuild } from '../actions/custom-image.ts';
import type { LaunchSpec, RunFile } from '../actions/launch-spec.ts';
import type { Clock, Log, ProcessTable } from '../shared/ports.ts';
import type { BuildContexts } from './build-context.ts';
import type { Execution, Executor, ExecutorKind } from './executor.ts';
import type { PrivateCopies, PrivateCopy } from './private-copy.ts';
import type { RunFiles } from './run-files.ts';
import type { LeaseGuard, LeaseKind, LedgerWatch, RunLeases, RunLedger } from './run-ledger.ts';
import type { RunLogs } from './run-log.ts';

/** A lease lives this long after its last renewal; only a process that nobody can see is judged by it. */
export const LEASE_MS = 20_000;
/** SIGTERM first, SIGKILL this much later. */
export const STOP_GRACE_MS = 10_000;

/** Kept with the run's files, so that an adopter can clean the rest of the output as well. */
export const REDACTIONS_FILE = 'redactions.json';

/** Everything that starts a recorded run in this or in another process; holds secrets, never logged. */
export interface LaunchPacket {
  spec: LaunchSpec;
  files: readonly RunFile[];
  /** Made before anything else; null: the workspace's own files are executed. */
  copy: PrivateCopy | null;
  /** Values to remove from the run's output. */
  redactions: readonly string[];
  pull: 'missing' | 'never' | 'always';
  /** The image to build before; null: one that has a name. */
  build: ImageBuild | null;
}

/** What supervising needs; built once per process. */
export interface SupervisionPorts {
  ledger: RunLedger;
  leases: RunLeases;
  watch: LedgerWatch;
  logs: RunLogs;
  files: RunFiles;
  copies: PrivateCopies;
  contexts: BuildContexts;
  executor(kind: ExecutorKind): Executor;
  /** False: this process has no engine and starts and adopts nothing; what a Polycrate API executes it follows. */
  executes: boolean;
  processes: ProcessTable;
  /** How long a run stays open whose data folder nobody has served; null: for ever. */
  lostAfterMs: number | null;
  clock: Clock;
  log: Log;
}

/** A run on its way to a process that will supervise it: what to start, and the lease to take for it. */
export interface Handover {
  guard: LeaseGuard;
  packet: LaunchPacket;
}

/** Starts a process that outlives this one. Resolves when it holds the leases of what it was given. */
export interface Detacher {
  /** An empty list asks it to adopt whatever was released. */
  detach(handovers: readonly Handover[]): Promise<void>;
}

/** A run that this process supervises right now. */
export interface Supervised {
  readonly guard: LeaseGuard;
  readonly kind: LeaseKind;
  readonly timeout_ms: number | null;
  /** Another process had it before. */
  readonly adopted: boolean;
  /** What is still to be started; null from the start on, and for adopted runs. */
  packet: LaunchPacket | null;
  /** Set while the engine is being asked to start it: from here on it cannot be passed on unstarted. */
  launching: Promise<unknown> | null;
  execution: Pick<Execution, 'started_at' | 'stop' | 'dispose'> | null;
  stopping: 'cancelled' | 'timeout' | null;
  /** Ends an image pull or build. */
  readonly abort: AbortController;
  /** Aborted when another process is to supervise the run. */
  readonly handOn: AbortController;
}
