import { statSync, type Stats } from 'node:fs';
import type { Clock } from '../../shared/ports.ts';

/** Something that changed within this time of being looked at may change again under the same time stamp. */
const RACY_MS = 100;
/** With more of them than this a new scan is not much slower, and it does not hold the thread. */
const MOST = 1_000;

/** What a scan looked at, so that a later call can tell quickly, and without doubt, that all is as it was. */
export interface Witnesses {
  /** Call this before the path is looked at: what comes later must not go unnoticed. */
  note(path: string): void;
  /** Something went wrong that time alone may mend: the result must not be used again. */
  doubt(): void;
  /** True: a new scan would find the same. Asks synchronously, as each question takes microseconds. */
  unchanged(): boolean;
}

export function createWitnesses(clock: Pick<Clock, 'now'>): Witnesses {
  const noted = new Map<string, Stats | null>();
  let doubtful = false;
  return {
    note(path) {
      if (doubtful || noted.has(path)) return;
      const stats = look(path);
      if (stats === undefined || noted.size === MOST || (stats && isRacy(stats, clock.now())))
        doubtful = true;
      else noted.set(path, stats);
    },
    doubt: () => {
      doubtful = true;
    },
    unchanged() {
      if (doubtful) return false;
      for (const [path, before] of noted) if (!isSame(before, look(path))) return false;
      return true;
    },
  };
}

/** Links are followed: one that leads elsewhere shows another file. Null: not there; undefined: nobody can tell. */
function look(path: string): Stats | null | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return undefined;
  }
}

function isRacy({ mtimeMs, ctimeMs }: Stats, now: number): boolean {
  return now - Math.max(mtimeMs, ctimeMs) <= RACY_MS;
}

/** The change time cannot be set by hand, unlike the modification time that some tools restore. */
function isSame(before: Stats | null, now: Stats | null | undefined): boolean {
  if (!before || !now) return before === now;
  return (
    before.ctimeMs === now.ctimeMs &&
    before.mtimeMs === now.mtimeMs &&
    before.size === now.size &&
    before.ino === now.ino &&
    before.dev === now.dev
  );
}
