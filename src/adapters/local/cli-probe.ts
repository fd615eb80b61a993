import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type InstalledCli } from '../../actions/cli-command.ts';
import { AppError } from '../../shared/errors.ts';
import { type EngineStatus } from '../../runs/executor.ts';

const ANSWER_MS = 10_000;
const MOST_BYTES = 1 << 20;
const VERSION = /^v?\d[\w.+-]{0,63}$|^latest$/;
const LONG_FLAG = /(?<=^|[\s,])--[a-z][a-z0-9-]*/gm;

export interface CliPlace {
  /** Absolute path of the CLI; null: it is looked up in `searchPath`. */
  command: string | null;
  searchPath: string;
  /** The whole environment of the CLI when it is asked for version and flags. */
  environment: Readonly<Record<string, string>>;
}

export interface CliProbe {
  status(): Promise<EngineStatus>;
  /** Throws `engine_unavailable` naming every place that was tried. */
  installed(): Promise<InstalledCli>;
}

/** Finds the CLI and asks it for its version and flags: once, until the file is another one. */
export function createCliProbe(place: CliPlace): CliProbe {
  const tried =
    place.command === null
      ? place.searchPath.split(delimiter).flatMap((dir) => (dir === '' ? [] : [join(dir, 'polycrate')]))
      : [place.command];
  let known: { stamp: string; answer: Promise<InstalledCli> } | null = null;

  const installed = async (): Promise<InstalledCli> => {
    for (const path of tried) {
      const stamp = await stampOf(path);
      if (stamp === null) continue;
      if (known?.stamp !== stamp) known = { stamp, answer: ask(path, place.environment) };
      try {
        return await known.answer;
      } catch (error) {
        known = null;
        throw error;
      }
    }
    throw new AppError('engine_unavailable', 'The Polycrate CLI is not installed where it was looked for.', {
      valid: tried,
      next: 'Install it, name its path in POLYCRATE_MCP_CLI, or set POLYCRATE_MCP_EXECUTOR to docker.',
    });
  };

  return {
    installed,
    status: async () => {
      try {
        const { path, version } = await installed();
        return { available: true, endpoint: path, version, tried: [path], problem: null };
      } catch (error) {
        const problem = error instanceof AppError ? error.message : String(error);
        return { available: false, endpoint: null, version: null, tried, problem };
      }
    },
  };
}

/** What tells one installed file from another; null: no program that we may execute. */
async function stampOf(path: string): Promise<string | null> {
  try {
    await access(path, constants.X_OK);
    const facts = await stat(path);
    return facts.isFile() ? [path, facts.ino, facts.size, facts.mtimeMs].join(':') : null;
  } catch {
    return null;
  }
}

/** In `/`, because in a workspace the CLI would load it; without stdin, so that no question waits for an answer. */
async function ask(path: string, environment: CliPlace['environment']): Promise<InstalledCli> {
  const { execa } = await import('execa');
  const options = { env: environment, extendEnv: false, timeout: ANSWER_MS, maxBuffer: MOST_BYTES } as const;
  const quietly = { ...options, cwd: '/', stdin: 'ignore', reject: false } as const;
  const [version, help] = await Promise.all([
    execa(path, ['version'], quietly),
    execa(path, ['run', '--help'], quietly),
  ]);
  if (version.failed) {
    throw new AppError('engine_unavailable', `The Polycrate CLI ${path} does not answer "version".`, {
      next: 'Try it in a terminal: it has to work for the user of this server.',
    });
  }
  const line = version.stdout.split('\n')[0]?.trim() ?? '';
  return {
    path,
    version: VERSION.test(line) ? line : null,
    flags: [...new Set(help.stdout.match(LONG_FLAG) ?? [])].sort(),
  };
}
