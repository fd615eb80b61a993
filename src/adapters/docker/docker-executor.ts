import { type Clock, type Log } from '../../shared/ports.ts';
import { type Executor, type OutputSink } from '../../runs/executor.ts';
import { basesDigest } from '../../actions/custom-image.ts';
import { adoptContainer } from './adopt.ts';
import { buildImage } from './build.ts';
import { createBuildOnce } from './builds.ts';
import { dockerConfigDir, type EndpointHints } from './endpoints.ts';
import { createEngine } from './engine.ts';
import { engineError } from './engine-errors.ts';
import { launch, removeIfUnstarted } from './launch.ts';
import { discard, findLeftover } from './leftovers.ts';
import { type OutputOptions } from './output.ts';
import { findImage, pullImage } from './pull.ts';

const STALL_MS = 10_000;
const UNREACHABLE_MS = 60_000;
const BUILD_MS = 30 * 60 * 1000;

export interface DockerExecutorOptions extends EndpointHints {
  /** Value of the label that tells this ledger's containers from others'. */
  ledgerLabel: string;
  pullTimeoutMs: number;
  /** The same for the build of a workspace's own image; default 30 min. */
  buildTimeoutMs?: number;
  /** A sink that pauses longer than this is detached from, so that the container runs on; default 10 s. */
  stallMs?: number;
  /** How long a run is followed while no engine answers; default 60 s. */
  unreachableMs?: number;
  /** The whole environment of credential helpers, PATH included. */
  helperEnv: Readonly<Record<string, string>>;
  clock: Clock;
  log: Log;
}

/** Runs each action in a container of its own, over the engine's HTTP API. */
export function createDockerExecutor(options: DockerExecutorOptions): Executor {
  const { clock, log } = options;
  const engine = createEngine(options);
  const buildOnce = createBuildOnce();
  const auth = { configDir: dockerConfigDir(options), helperEnv: options.helperEnv };
  const reading = (sink: OutputSink): OutputOptions => ({
    sink,
    log,
    stallMs: options.stallMs ?? STALL_MS,
    patience: { clock, unreachableMs: options.unreachableMs ?? UNREACHABLE_MS },
  });

  /** Uses the engine; one that went away is searched for again at the next use. */
  const use = async <T>(act: string, call: (docker: Client) => Promise<T>): Promise<T> => {
    const docker = await engine.client();
    try {
      return await call(docker);
    } catch (error) {
      const failure = engineError(error, act);
      if (failure.code === 'engine_unavailable') engine.forget();
      throw failure;
    }
  };

  return {
    kind: 'docker',
    adoptable: true,
    status: () => engine.status(),
    image: (reference) => use('look up an image', (docker) => findImage(docker, reference)),
    pull: (reference, progress, signal) =>
      use('pull an image', (docker) =>
        pullImage(docker, reference, { auth, clock, timeoutMs: options.pullTimeoutMs, progress, signal }),
      ),
    build: ({ build, entries, say, signal, limits }) =>
      use('build an image', (docker) =>
        buildOnce(`${build.tag} ${basesDigest(build.bases)}`, { say, signal }, (shared) =>
          buildImage(docker, build, {
            ...shared,
            entries: entries(),
            limits,
            timeoutMs: options.buildTimeoutMs ?? BUILD_MS,
          }),
        ),
      ),
    start: (spec, sink) =>
      use('start a container', (docker) =>
        launch(docker, { spec, ledger: options.ledgerLabel }, reading(sink)),
      ),
    find: (run_id) => use('look up a run', (docker) => findLeftover(docker, run_id)),
    removeUnstarted: (ref) =>
      use('remove a container', (docker) => removeIfUnstarted(docker.getContainer(ref), (call) => call())),
    discard: (ref) => use('remove a container', (docker) => discard(docker.getContainer(ref))),
    adopt: (_run_id, ref, sink) =>
      use('adopt a run', (docker) => adoptContainer(docker.getContainer(ref), reading(sink))),
  };
}

type Client = Awaited<ReturnType<ReturnType<typeof createEngine>['client']>>;
