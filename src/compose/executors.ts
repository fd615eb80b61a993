import { CLI_ENVIRONMENT, cliRuntimeFolder } from '../actions/cli-command.ts';
import { createContainerStopper } from '../adapters/docker/foreign-containers.ts';
import { createDockerExecutor } from '../adapters/docker/docker-executor.ts';
import type { EndpointHints } from '../adapters/docker/endpoints.ts';
import { systemClock } from '../adapters/host/host.ts';
import { createCliExecutor } from '../adapters/local/cli-executor.ts';
import { createLocalExecutor } from '../adapters/local/local-executor.ts';
import type { Config } from '../config.ts';
import type { Executor, ExecutorKind } from '../runs/executor.ts';
import type { RunFiles } from '../runs/run-files.ts';
import { sha256 } from '../shared/json.ts';
import type { Log } from '../shared/ports.ts';

/** A pull is a phase of its own, apart from the run's time limit. */
const PULL_TIMEOUT_MS = 30 * 60 * 1000;

export type Executors = (kind: ExecutorKind) => Executor;

export function executorsOf(config: Config, files: Pick<RunFiles, 'folder'>, log: Log): Executors {
  const docker = createDockerExecutor({
    ...engineHints(config),
    ledgerLabel: sha256(config.home).slice(0, 12),
    pullTimeoutMs: PULL_TIMEOUT_MS,
    helperEnv: config.childEnvironment,
    clock: systemClock,
    log,
  });
  const local = createLocalExecutor({
    searchPath: config.childEnvironment['PATH'] ?? '',
    clock: systemClock,
  });
  const cli = createCliExecutor({
    command: config.cli,
    searchPath: config.childEnvironment['PATH'] ?? '',
    environment: { ...config.childEnvironment, ...CLI_ENVIRONMENT },
    runtimeFolder: (run_id) => cliRuntimeFolder(files.folder(run_id)),
    stopContainers: createContainerStopper(engineHints(config)),
    clock: systemClock,
  });
  const executors: Record<ExecutorKind, Executor> = { docker, local, cli };
  return (kind) => executors[kind];
}

function engineHints({ dockerHost, userHome, childEnvironment: variables }: Config): EndpointHints {
  return {
    host: dockerHost,
    context: variables['DOCKER_CONTEXT'] ?? null,
    certPath: variables['DOCKER_TLS_VERIFY'] ? (variables['DOCKER_CERT_PATH'] ?? null) : null,
    dockerConfigDir: variables['DOCKER_CONFIG'] ?? null,
    home: userHome,
    runtimeDir: variables['XDG_RUNTIME_DIR'] ?? null,
  };
}
