import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FAKE = new URL('fake-polycrate.mjs', import.meta.url).pathname;

export interface Call {
  args: string[];
  env: Record<string, string>;
  cwd: string;
  stdin: 'null' | 'open';
}

export interface FakePolycrate {
  folder: string;
  path: string;
  /** Calls of `run`, without the questions for version and flags. */
  runs(): Promise<Call[]>;
  calls(): Promise<Call[]>;
  remove(): Promise<void>;
}

export interface Release {
  version?: string;
  flags?: string[];
  image?: string;
}

/** The fake CLI as `polycrate` in a folder of its own. */
export async function installFakePolycrate(release: Release = {}): Promise<FakePolycrate> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'fake-polycrate-')));
  const path = join(folder, 'polycrate');
  await mkdir(folder, { recursive: true });
  await symlink(FAKE, path);
  await writeFile(join(folder, 'fake.json'), JSON.stringify(release));
  const calls = async (): Promise<Call[]> => {
    const text = await readFile(join(folder, 'calls.jsonl'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Call);
  };
  return {
    folder,
    path,
    calls,
    runs: async () => (await calls()).filter(({ args }) => args[0] === 'run' && !args.includes('--help')),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
