import type { Executor, ExecutorKind } from '../../runs/executor.ts';
import { AppError } from '../../shared/errors.ts';
import { DEFAULT_IMAGE, type Config } from '../../config.ts';

/** Where the demo's actions run, and the sentence that says so. */
export interface Place {
  executor: 'docker' | 'local';
  image: string | null;
  why: string;
}

/** Images that have /bin/bash, likely ones first; the official `bash` has it elsewhere. Never pulled. */
const IMAGES_WITH_BASH = [
  DEFAULT_IMAGE,
  'polycrate-mcp-test/toolchain:1',
  'debian:stable-slim',
  'debian:bookworm-slim',
  'debian:bookworm',
  'debian:latest',
  'ubuntu:latest',
  'ubuntu:24.04',
  'ubuntu:22.04',
  'python:slim',
  'python:latest',
  'python:3-slim',
  'python:3',
];

interface Parts {
  config: Pick<Config, 'executor' | 'image'>;
  executors: (kind: ExecutorKind) => Pick<Executor, 'status' | 'image'>;
}

/** A container where an engine has a usable image, else this host. Throws where the operator insists on docker. */
export async function choosePlace({ config, executors }: Parts): Promise<Place> {
  if (config.executor === 'local') return onHost('POLYCRATE_MCP_EXECUTOR is local');
  const docker = executors('docker');
  const { available, endpoint, problem } = await docker.status();
  if (!available) return fallBack(config, problem ?? 'no container engine answers');
  const candidates = config.image === null ? IMAGES_WITH_BASH : [config.image, ...IMAGES_WITH_BASH];
  for (const image of candidates) {
    if (!(await isPresent(docker, image))) continue;
    return { executor: 'docker', image, why: `in containers of ${image}, by the engine at ${endpoint}` };
  }
  return fallBack(
    config,
    `the engine at ${endpoint} has no image with bash that the demo knows, and the demo pulls none ` +
      '(POLYCRATE_MCP_IMAGE names one that is there)',
  );
}

async function isPresent(docker: Pick<Executor, 'image'>, reference: string): Promise<boolean> {
  return (await docker.image(reference)) !== null;
}

function fallBack({ executor }: Parts['config'], reason: string): Place {
  if (executor !== 'docker') return onHost(reason);
  throw new AppError('engine_unavailable', `POLYCRATE_MCP_EXECUTOR is docker, but ${reason}`, {
    next: 'leave POLYCRATE_MCP_EXECUTOR away, and the demo runs its scripts on this host instead',
  });
}

function onHost(reason: string): Place {
  return {
    executor: 'local',
    image: null,
    why: `as bash on this host, without a container: ${reason.replace(/\.$/, '')}`,
  };
}
