import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../shared/errors.ts';
import { isObject } from '../../shared/json.ts';

/** What tells where an engine may be; plain values, read elsewhere from the environment. */
export interface EndpointHints {
  /** DOCKER_HOST; null: not set. */
  host: string | null;
  /** DOCKER_CONTEXT; null: the current context of the Docker config. */
  context: string | null;
  /** DOCKER_CERT_PATH, used for tcp when DOCKER_TLS_VERIFY is set; null: no TLS. */
  certPath: string | null;
  /** DOCKER_CONFIG; null: `~/.docker`. */
  dockerConfigDir: string | null;
  home: string;
  /** XDG_RUNTIME_DIR. */
  runtimeDir: string | null;
}

export interface Endpoint {
  /** Where it was found, for people: `DOCKER_HOST tcp://…`. */
  name: string;
  /** Address as the Docker tools write it. */
  address: string;
  /** Folder with ca.pem, cert.pem and key.pem; null: no TLS. */
  tlsDir: string | null;
}

/** A place that was looked at and cannot be used, with the reason. */
export interface BadHint {
  name: string;
  problem: string;
}

export function dockerConfigDir(hints: Pick<EndpointHints, 'dockerConfigDir' | 'home'>): string {
  return hints.dockerConfigDir ?? join(hints.home, '.docker');
}

/**
 * The places to try, in order. What the operator named (DOCKER_HOST, DOCKER_CONTEXT) is the only one: running
 * on another engine than the named one would surprise.
 */
export async function endpointsToTry(hints: EndpointHints): Promise<(Endpoint | BadHint)[]> {
  if (hints.host !== null) {
    return [{ name: `DOCKER_HOST ${hints.host}`, address: hints.host, tlsDir: hints.certPath }];
  }
  const context = await contextEndpoint(hints);
  if (hints.context !== null && context !== null) return [context];
  return [...(context === null ? [] : [context]), ...knownSockets(hints)];
}

/** Sockets of Docker, rootless Docker, Podman, Colima, Docker Desktop and OrbStack. */
export function knownSockets({ home, runtimeDir }: EndpointHints): Endpoint[] {
  const inRuntime = (name: string): string[] => (runtimeDir === null ? [] : [join(runtimeDir, name)]);
  const paths = [
    '/var/run/docker.sock',
    ...inRuntime('docker.sock'),
    ...inRuntime('podman/podman.sock'),
    '/run/podman/podman.sock',
    join(home, '.colima/default/docker.sock'),
    join(home, '.docker/run/docker.sock'),
    join(home, '.docker/desktop/docker.sock'),
    join(home, '.orbstack/run/docker.sock'),
  ];
  return [...new Set(paths)].map((path) => ({ name: path, address: `unix://${path}`, tlsDir: null }));
}

async function contextEndpoint(hints: EndpointHints): Promise<Endpoint | BadHint | null> {
  const dir = dockerConfigDir(hints);
  const name = hints.context ?? (await currentContext(dir));
  if (name === null || name === 'default') return null;
  const label = `docker context "${name}"`;
  const id = createHash('sha256').update(name).digest('hex');
  try {
    const meta: unknown = JSON.parse(await readFile(join(dir, 'contexts/meta', id, 'meta.json'), 'utf8'));
    const endpoints = isObject(meta) ? meta['Endpoints'] : undefined;
    const docker = isObject(endpoints) ? endpoints['docker'] : undefined;
    const host = isObject(docker) ? docker['Host'] : undefined;
    if (typeof host !== 'string' || host === '')
      return { name: label, problem: 'it names no docker endpoint' };
    const tls = host.startsWith('tcp:') ? join(dir, 'contexts/tls', id, 'docker') : null;
    return { name: `${label} ${host}`, address: host, tlsDir: tls };
  } catch (error) {
    return { name: label, problem: `its description cannot be read: ${messageOf(error)}` };
  }
}

async function currentContext(dir: string): Promise<string | null> {
  try {
    const config: unknown = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8'));
    const name = isObject(config) ? config['currentContext'] : undefined;
    return typeof name === 'string' && name !== '' ? name : null;
  } catch {
    // No config, or one that only its own tool can mend: the default context then.
    return null;
  }
}

export type Address = { socketPath: string } | { host: string; port: number; protocol: 'http' | 'https' };

/** Reads an address as the Docker tools write it. Throws `configuration` for what cannot be used. */
export function parseAddress(address: string, tls: boolean): Address {
  const pipe = /^(unix|npipe):\/\/(.+)$/.exec(address);
  if (pipe) return { socketPath: pipe[2] as string };
  const refuse = (problem: string): never => {
    throw new AppError('configuration', problem, {
      next: 'Set DOCKER_HOST to unix:///path/to/docker.sock or tcp://host:port.',
    });
  };
  if (address.startsWith('ssh:'))
    return refuse('engines over ssh are not supported; forward its socket instead');
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !['tcp:', 'http:', 'https:'].includes(url.protocol) || url.hostname === '') {
    return refuse('this is not an engine address');
  }
  const secure = tls || url.protocol === 'https:';
  const port = url.port === '' ? (secure ? 2376 : 2375) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port, protocol: secure ? 'https' : 'http' };
}
