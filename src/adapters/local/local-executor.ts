import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import { type Clock } from '../../shared/ports.ts';
import { type EngineStatus, type Executor } from '../../runs/executor.ts';
import { adoptLocally, findLocally } from './local-adopt.ts';
import { launchLocally } from './local-launch.ts';

const LINGER_MS = 2000;
const VERSION_MS = 2000;

export interface LocalExecutorOptions {
  /** PATH in which bash is looked up for `status`. */
  searchPath: string;
  /** How long background processes may hold a run's output open after its end; default 2 s. */
  lingerMs?: number;
  clock: Clock;
}

/** Runs actions on this host, each in a process group of its own; there are no containers and no images. */
export function createLocalExecutor(options: LocalExecutorOptions): Executor {
  const { clock } = options;
  const times = { clock, lingerMs: options.lingerMs ?? LINGER_MS };
  return {
    kind: 'local',
    adoptable: false,
    status: () => bashStatus(options.searchPath),
    image: async () => null,
    pull: async (reference) => {
      throw new AppError('refused', `Runs on this host use no image, so ${reference} is not pulled.`, {
        next: 'Use the docker executor for runs in a container.',
      });
    },
    start: (spec, sink) => launchLocally(spec, sink, times),
    find: (run_id) => findLocally(run_id, { uid: process.getuid?.() ?? -1, clock }),
    // A process is never created without being started.
    removeUnstarted: async () => true,
    // An ended process group leaves nothing.
    discard: async () => undefined,
    adopt: (run_id, ref) => adoptLocally(run_id, ref, clock),
  };
}

async function bashStatus(searchPath: string): Promise<EngineStatus> {
  const tried = searchPath.split(delimiter).flatMap((dir) => (dir === '' ? [] : [join(dir, 'bash')]));
  for (const path of tried) {
    const version = await bashVersion(path);
    if (version !== null) return { available: true, endpoint: path, version, tried: [path], problem: null };
  }
  const problem =
    'bash is missing on this host, and local runs need it: install it or add its folder to PATH.';
  return { available: false, endpoint: null, version: null, tried, problem };
}

async function bashVersion(path: string): Promise<string | null> {
  try {
    await access(path, constants.X_OK);
    const { execa } = await import('execa');
    const { stdout } = await execa(path, ['--version'], { env: {}, extendEnv: false, timeout: VERSION_MS });
    return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
  } catch {
    return null;
  }
}
