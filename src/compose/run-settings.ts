import { DEFAULT_IMAGE, DEFAULT_IMAGES, VERSION, type Config } from '../config.ts';
import type { RunSettings } from '../runs/prepare.ts';

const HOW = { on: 'writable', 'read-only': 'read-only', off: 'checked' } as const;

/** What the operator configured for executions. */
export function settingsOf(config: Config): RunSettings {
  return {
    executor: config.executor === 'auto' ? 'docker' : config.executor,
    image: config.image,
    default_image: DEFAULT_IMAGE,
    pull: config.pull,
    copy: HOW[config.privateCopy],
    memory_bytes: config.memoryBytes,
    cpus: config.cpus,
    pids: config.pids,
    timeout_ms: config.runTimeoutMs,
    // The engine's copy may be rotated only after ours has long reached its limit.
    engine_log_bytes: 4 * config.logMaxBytes,
    extra_hosts: config.extraHosts,
    mount_docker_socket: config.mountDockerSocket,
    limits: {
      mode: config.runMode,
      allowed_images: [...config.allowedImages, config.image ?? DEFAULT_IMAGES],
      allowed_mounts: config.mountDockerSocket
        ? [...config.allowedMounts, '/var/run/docker.sock']
        : config.allowedMounts,
    },
    host_environment: config.childEnvironment,
    version: VERSION,
  };
}
