import { hostname, userInfo } from 'node:os';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
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

const IDS_AT_ONCE = 64;

/** UUIDv7: 48 bits of milliseconds, then randomness; grows within this process even inside a millisecond. */
export function createIds(clock: Clock): Ids {
  let last = 0;
  // Drawn for many at once: asking the system for each took longer than all else that is done for a call.
  let pool = Buffer.alloc(0);
  const draw = (): Buffer => {
    if (pool.length === 0) pool = randomBytes(16 * IDS_AT_ONCE);
    const drawn = pool.subarray(0, 16);
    pool = pool.subarray(16);
    return drawn;
  };
  return {
    next() {
      last = Math.max(clock.now(), last + 1);
      const bytes = draw();
      bytes.writeUIntBE(last, 0, 6);
      bytes[6] = 0x70 | (bytes[6]! & 0x0f);
      bytes[8] = 0x80 | (bytes[8]! & 0x3f);
      const hex = bytes.toString('hex');
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join(
        '-',
      );
    },
  };
}

export function hostFacts(): HostFacts {
  const { username, uid } = userInfo();
  return { hostname: hostname(), os_user: username, uid };
}

/** Null: there is nothing at that path. */
export async function realPath(path: string): Promise<string | null> {
  return realpath(path).catch(() => null);
}

/** Files of open runs below `home/run/<id>`: folder 0700, files 0600. */
export function createRunFiles(home: string): RunFiles {
  const folder = (run_id: string): string => join(home, 'run', run_id);
  return {
    folder,
    async write(run_id: string, files: readonly RunFile[]) {
      await mkdir(folder(run_id), { recursive: true, mode: 0o700 });
      await Promise.all(
        files.map(async ({ name, content, encoding }) => {
          const path = join(folder(run_id), name);
          await mkdir(dirname(path), { recursive: true, mode: 0o700 });
          await writeFile(path, Buffer.from(content, encoding), { mode: 0o600 });
        }),
      );
    },
    read: (run_id, name) => readFile(join(folder(run_id), name), 'utf8').catch(() => null),
    remove: (run_id) => rm(folder(run_id), { recursive: true, force: true }),
  };
}
