import type { ContainerCreateOptions } from 'dockerode';
import { type LaunchSpec } from '../../runs/executor.ts';

export const RUN_LABEL = 'polycrate-mcp.run';
export const LEDGER_LABEL = 'polycrate-mcp.ledger';

/** The engine keeps this many files; its oldest is dropped when all are full. */
const LOG_FILES = 5;
const SMALLEST_LOG_FILE = 64 * 1024;

export function containerName(run_id: string): string {
  return `polycrate-${run_id}`;
}

/**
 * What the engine is asked for. AutoRemove stays off so that exit code and log survive a dead supervisor;
 * Init makes signals reach shells; binds are mounts, so that a missing source is an error and no new folder.
 */
export function containerOptions(
  spec: LaunchSpec,
  ledger: string,
): ContainerCreateOptions & { name: string } {
  const [program, ...args] = spec.command;
  return {
    name: containerName(spec.run_id),
    Image: spec.image_digest ?? spec.image ?? '',
    Entrypoint: program === undefined ? [] : [program],
    Cmd: args,
    WorkingDir: spec.workdir,
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    Labels: { ...spec.labels, [RUN_LABEL]: spec.run_id, [LEDGER_LABEL]: ledger },
    Tty: false,
    OpenStdin: false,
    HostConfig: {
      AutoRemove: false,
      Init: true,
      NetworkMode: 'host',
      Privileged: false,
      ExtraHosts: [...spec.extra_hosts],
      Mounts: spec.mounts.map((mount) => ({
        Type: 'bind',
        Source: mount.host,
        Target: mount.container,
        ReadOnly: mount.readonly,
      })),
      LogConfig: { Type: 'json-file', Config: logLimits(spec.limits.engine_log_bytes) },
      ...resourceLimits(spec.limits),
    },
  };
}

function logLimits(bytes: number): Record<string, string> {
  const size = Math.max(SMALLEST_LOG_FILE, Math.floor(bytes / LOG_FILES));
  return { 'max-size': String(size), 'max-file': String(LOG_FILES) };
}

/** Swap counts as memory, or a limit would only slow an action down instead of ending it. */
function resourceLimits(limits: LaunchSpec['limits']): Record<string, number> {
  return {
    ...(limits.memory_bytes === null ? {} : { Memory: limits.memory_bytes, MemorySwap: limits.memory_bytes }),
    ...(limits.cpus === null ? {} : { NanoCpus: Math.round(limits.cpus * 1e9) }),
    ...(limits.pids === null ? {} : { PidsLimit: limits.pids }),
  };
}
