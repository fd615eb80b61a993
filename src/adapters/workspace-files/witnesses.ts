import { statSync } from 'node:fs';
import type { Clock } from '../../shared/ports.ts';

/** Something that changed within this time of being looked at may change again under the same time stamp. */
const RACY_MS = 100;
/** What a scan looked at, so that a later call can tell quickly, and without doubt, that all is as it was. */
export interface Witnesses {
  /** Call this before the path is looked at: what comes later must not go unnoticed. */
  note(path: string): void;
  /** Something went wrong that time alone may mend: the result must not be used again. */
  doubt(): void;
  /** True: a new scan would find the same. Asks synchronously, as each question takes microseconds. */
  unchanged(): boolean;
  /** As another thread can be told it. */
  told(): Told;
}

/** Null in place of the notes: in doubt. */
export type Told = Map<string, Look | null> | null;

export function createWitnesses(clock: Pick<Clock, 'now'>): Witnesses {
  const noted = new Map<string, Look | null>();
  let doubtful = false;
  return {
    note(path) {
      if (doubtful || noted.has(path)) return;
      const seen = look(path);
      if (seen === undefined || (seen && isRacy(seen, clock.now()))) doubtful = true;
      else noted.set(path, seen);
    },
    doubt: () => {
      doubtful = true;
    },
    unchanged: () => !doubtful && isUnchanged(noted),
    told: () => (doubtful ? null : noted),
  };
}

/** Whether what was told is still so. */
export function isUnchanged(told: Told): boolean {
  if (told === null) return false;
  for (const [path, before] of told) if (!isSame(before, look(path))) return false;
  return true;
}

/** What the file system says of something without its content. */
interface Look {
  ctimeMs: number;
  mtimeMs: number;
  size: number;
  ino: number;
  dev: number;
}

/** Links are followed: one that leads elsewhere shows another file. Null: not there; undefined: nobody can tell. */
function look(path: string): Look | null | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (!stats) return null;
    const { ctimeMs, mtimeMs, size, ino, dev } = stats;
    return { ctimeMs, mtimeMs, size, ino, dev };
  } catch {
    return undefined;
  }
}

function isRacy({ mtimeMs, ctimeMs }: Look, now: number): boolean {
  return now - Math.max(mtimeMs, ctimeMs) <= RACY_MS;
}

/** The change time cannot be set by hand, unlike the modification time that some tools restore. */
function isSame(before: Look | null, now: Look | null | undefined): boolean {
  if (!before || !now) return before === now;
  return (
    before.ctimeMs === now.ctimeMs &&
    before.mtimeMs === now.mtimeMs &&
    before.size === now.size &&
    before.ino === now.ino &&
    before.dev === now.dev
  );
}
