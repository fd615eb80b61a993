import type Docker from 'dockerode';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { AppError } from '../../shared/errors.ts';
import { timeLimit } from '../../shared/time-limit.ts';
import { type EngineStatus } from '../../runs/executor.ts';
import { type Address, type BadHint, type Endpoint, type EndpointHints } from './endpoints.ts';
import { endpointsToTry, parseAddress } from './endpoints.ts';
import { statusOf, whyUnreachable, wordsOf } from './engine-errors.ts';

const PROBE_MS = 2000;

interface Connection {
  docker: Docker;
  endpoint: string;
  version: string;
}

/** Finds the engine once and keeps the client; a failed search is repeated at the next use. */
export interface Engine {
  /** Throws `engine_unavailable` naming every place that was tried. */
  client(): Promise<Docker>;
  /** Forgets the engine after it went away, so that the next use searches again. */
  forget(): void;
  status(): Promise<EngineStatus>;
}

export function createEngine(hints: EndpointHints): Engine {
  let found: Promise<Connection> | null = null;

  const connect = (): Promise<Connection> => {
    found ??= discover(hints).catch((error: unknown) => {
      found = null;
      throw error;
    });
    return found;
  };

  return {
    client: async () => (await connect()).docker,
    forget: () => {
      found = null;
    },
    status: async () => {
      found = null;
      try {
        const { endpoint, version } = await connect();
        return { available: true, endpoint, version, tried: [endpoint], problem: null };
      } catch (error) {
        const tried = error instanceof AppError ? (error.valid ?? []) : [];
        const problem = error instanceof Error ? error.message : String(error);
        return { available: false, endpoint: null, version: null, tried, problem };
      }
    },
  };
}

async function discover(hints: EndpointHints): Promise<Connection> {
  const tried: string[] = [];
  for (const place of await endpointsToTry(hints)) {
    const answer = await probe(place);
    if (typeof answer !== 'string') return answer;
    tried.push(`${place.name}: ${answer}`);
  }
  throw new AppError('engine_unavailable', `No container engine answers. Tried ${tried.join('; ')}.`, {
    valid: tried,
    next: 'Start Docker or Podman, or set DOCKER_HOST to its address.',
  });
}

/** A connection, or the reason why there is none. */
async function probe(place: Endpoint | BadHint): Promise<Connection | string> {
  if ('problem' in place) return place.problem;
  try {
    const docker = await openClient(parseAddress(place.address, place.tlsDir !== null), place.tlsDir);
    // @types/dockerode does not know that version takes options.
    const ask = docker.version.bind(docker) as (options: object) => Promise<{ Version: string }>;
    const { Version } = await ask({ abortSignal: timeLimit(PROBE_MS) });
    return { docker, endpoint: place.address, version: Version };
  } catch (error) {
    return statusOf(error) === null ? whyUnreachable(error) : wordsOf(error);
  }
}

async function openClient(address: Address, tlsDir: string | null): Promise<Docker> {
  const { default: Client } = await import('dockerode');
  // Named explicitly, as the client would else mix in DOCKER_HOST and friends from the environment.
  const blank = {
    socketPath: undefined,
    host: undefined,
    port: undefined,
    protocol: 'http',
    pathPrefix: '/',
  };
  const secure = 'protocol' in address && address.protocol === 'https';
  const agent = secure ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
  // For each request the client describes all of its options for a debug line, the agent's sockets included,
  // even if nobody reads it: milliseconds that a short answer spares.
  Object.assign(agent, { [inspect.custom]: () => 'Agent' });
  const options = { ...blank, ...address, ...(await certificates(tlsDir)), agent };
  return new Client(options as Docker.DockerOptions);
}

async function certificates(dir: string | null): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  if (dir === null) return {};
  const [ca, cert, key] = await Promise.all(
    ['ca.pem', 'cert.pem', 'key.pem'].map((name) => readFile(join(dir, name))),
  );
  return { ca: ca as Buffer, cert: cert as Buffer, key: key as Buffer };
}
