import { hostname, userInfo } from 'node:os';
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunFile } from '../../actions/launch-spec.ts';
import type { RunFiles } from '../../runs/run-files.ts';
import type { Clock, HostFacts, Ids } from '../../shared/ports.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    await sleep(ms, undefined, signal ? { signal } : undefined).catch(() => undefined);
  },
};

/** UUIDv7: 48 bits of milliseconds, then randomness; grows within this process even inside a millisecond. */
export function createIds(clock: Clock): Ids {
  let last = 0;
  return {
    next() {
      last = Math.max(clock.now(), last + 1);
      const time = last.toString(16).padStart(12, '0');
      // Version 4 has its variant and its randomness in the same places, and Node draws many of them at once.
      return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
    },
  };
}

export function hostFacts(): HostFacts {
  const { username, uid } = user();
  return { hostname: hostname(), os_user: username, uid };
}

/** In a container the user may be a number that nobody gave a name to. */
function user(): { username: string; uid: number } {
  try {
    return userInfo();
  } catch {
    const uid = process.getuid?.() ?? -1;
    return { username: String(uid), uid };
  }
}

/** Null: there is nothing at that path. */
export async function realPath(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

/** Lets the owner take files out of all folders below. */
async function openUp(path: string): Promise<void> {
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.isDirectory()) await openUp(join(path, entry.name));
  }
}

/** Takes a folder that only root can remove out of the way of everything else. */
async function putAway(folder: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await rename(folder, to);
}

/** Files of open runs below `home/run/<id>`: folder 0700, files 0600. */
export function createRunFiles(home: string): RunFiles {
  const folder = (run_id: string): string => join(home, 'run', run_id);
  const kept = (run_id: string): string => join(home, 'kept', run_id);
  return {
    folder,
    kept,
    keptOf: () => readdir(join(home, 'kept')).catch(() => []),
    async removeKept(run_id) {
      const gone = (): Promise<void> => rm(kept(run_id), { recursive: true });
      return gone().catch(() => openUp(kept(run_id)).then(gone)).then(() => true, () => false); // prettier-ignore
    },
    async write(run_id: string, files: readonly RunFile[]) {
      await mkdir(folder(run_id), { recursive: true, mode: 0o700 });
      await Promise.all(
        files.map(async ({ name, content, encoding }) => {
          const path = join(folder(run_id), name);
          await mkdir(dirname(path), { recursive: true, mode: 0o700 });
          // Whole or not at all: whoever goes on after a crash reads some of them.
          const unfinished = `${path}.unfinished`;
          await writeFile(unfinished, Buffer.from(content, encoding), { mode: 0o600 });
          await rename(unfinished, path);
        }),
      );
    },
    read: (run_id, name) => readFile(join(folder(run_id), name), 'utf8').catch(() => null),
    async remove(run_id) {
      const gone = (): Promise<void> => rm(folder(run_id), { recursive: true, force: true });
      const copy = join(folder(run_id), 'copy');
      // A copy of a block may refuse changes, also this one; or an action made folders in it as another user.
      await gone()
        .catch(() => openUp(folder(run_id)).then(gone))
        .catch(() => putAway(copy, kept(run_id)).then(gone));
    },
  };
}
