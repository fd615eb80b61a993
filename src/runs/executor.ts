import type { InstalledCli } from '../actions/cli-command.ts';
import type { ImageBuild } from '../actions/custom-image.ts';
import type { LaunchSpec } from '../actions/launch-spec.ts';
import type { ContextEntry } from './build-context.ts';

export type { LaunchSpec, Mount } from '../actions/launch-spec.ts';

export type ExecutorKind = 'docker' | 'local' | 'cli';
export type Stream = 'stdout' | 'stderr';

/** How an execution ended: facts only, sentences are computed from them. */
export interface Ending {
  /** The process's own exit code; null where nobody can know it. */
  exit_code: number | null;
  finished_at: number;
  out_of_memory: boolean;
  /** The engine's or the system's own words, if any. */
  error: string | null;
  /** True: the engine's own limited log may already have dropped output that was never handed over. */
  output_incomplete?: boolean;
  /** What may have outlived it unseen, as a sentence; said where the run was stopped. */
  unseen?: string | null;
  /** The CLI's own id of what it did. */
  transaction?: string | null;
}

/**
 * Receives output as it comes. `write` answers false when the reader should pause until `drain` resolves.
 * Chunks are raw bytes of one stream in their order.
 */
export interface OutputSink {
  write(stream: Stream, chunk: Uint8Array): boolean;
  drain(): Promise<void>;
}

/** A started execution, held by its supervisor. */
export interface Execution {
  /** Names the execution to a later process: container id, or process group and its start time. */
  ref: string;
  started_at: number;
  image_digest: string | null;
  /** True: it had ended before its start could be told. */
  over: boolean;
  /** Resolves after the last byte of output was handed over; rejects only if the engine went away. */
  ending: Promise<Ending>;
  /** Polite, then firm: SIGTERM, `grace_ms`, SIGKILL. Resolves once signals are sent; `ending` follows. */
  stop(grace_ms: number): Promise<void>;
  /** Stops reading without touching the execution; what was not read stays readable for an adopter. */
  detach(): void;
  /** Removes what the execution left on the engine (the container). Safe to call twice. */
  dispose(): Promise<void>;
}

/** What is left of a run on the engine, looked up by its run id. */
export type Leftover =
  | { state: 'absent' }
  /** Was created; whether it starts this instant is decided by `removeUnstarted`. */
  | { state: 'created'; ref: string }
  | { state: 'running' | 'exited'; ref: string; started_at: number };

export interface EngineStatus {
  available: boolean;
  /** Where the engine was found, or each place that was tried. */
  endpoint: string | null;
  version: string | null;
  tried: readonly string[];
  /** What is wrong and what helps, when not available. */
  problem: string | null;
}

export interface ImageFacts {
  /** The engine's content id of the image, `sha256:…`. */
  digest: string;
  labels: Readonly<Record<string, string>>;
  /** True: it makes whatever is built from it copy or run something (`ONBUILD`). */
  triggers: boolean;
}

export interface BuildRequest {
  build: ImageBuild;
  /** Read once, and only if this request starts the build. */
  entries(): AsyncIterable<ContextEntry>;
  /** A line of the builder; resolves when there is room for the next. */
  say(line: string): Promise<void>;
  signal: AbortSignal;
  limits: Pick<LaunchSpec['limits'], 'memory_bytes' | 'cpus'>;
}

/** Runs things. One adapter each for docker, local and cli; the contract suite is the definition. */
export interface Executor {
  readonly kind: ExecutorKind;
  /**
   * True: the supervisor may live in the server process and another process can adopt the execution.
   * False: the supervisor must be a detached process, the parent of the execution.
   */
  readonly adoptable: boolean;
  status(): Promise<EngineStatus>;
  /** The program that runs actions on its own account; only where there is one. Throws `engine_unavailable`. */
  installed?(): Promise<InstalledCli>;
  /** Null: not present locally. Throws `engine_unavailable` where no engine answers. */
  image(reference: string): Promise<ImageFacts | null>;
  /** Pulls with the credentials of the Docker config; progress is a short line for a human. */
  pull(reference: string, progress: (line: string) => void, signal: AbortSignal): Promise<ImageFacts>;
  /** Only where there are images. Throws `launch_failed`; requests for the same image at once build it once. */
  build?(request: BuildRequest): Promise<ImageFacts>;
  /** Starts it. Throws `launch_failed` or `engine_unavailable`, leaving nothing behind, if it never ran. */
  start(spec: LaunchSpec, sink: OutputSink): Promise<Execution>;
  find(run_id: string): Promise<Leftover>;
  /** Removes a created container that never started. False: it did start after all, so adopt it. */
  removeUnstarted(ref: string): Promise<boolean>;
  /** Removes what an ended execution left behind; what still runs is left alone. */
  discard(ref: string): Promise<void>;
  /** Takes over an execution of a dead supervisor; hands over the whole output from its first byte. */
  adopt(run_id: string, ref: string, sink: OutputSink): Promise<Execution>;
}
