import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { Clock } from '../../shared/ports.ts';
import { readRegular, readRegularSync, type ReadResult } from './open-file.ts';

/** A file changed within this time of being read may change again under the same time stamp: not trusted. */
const RACY_MS = 100n;

interface Entry {
  stamp: string;
  trusted: boolean;
  value: unknown;
  /** Bytes of the file. */
  size: number;
}

/** `relative` belongs to the key, because what is made of a file names it as its workspace sees it. */
export interface CachedFile {
  workspace: string;
  relative: string;
}

/** Remembers what was made of a file until the file changes, or many others were asked for since. */
export interface FileCache {
  /** Reads and parses, or answers what the same file gave last time. Throws the system's error for I/O. */
  get<T>(file: CachedFile, parse: (result: ReadResult) => Promise<T>): Promise<T>;
}

/** Text of the files whose values are kept; a value takes some ten times the text. */
const MOST_BYTES = 8 * 1024 * 1024;

/** For a look at many files once, in a thread of its own: reads without waiting in between, and remembers nothing. */
export function readOnce(max_bytes: number): FileCache {
  return {
    get: ({ workspace, relative }, parse) => parse(readRegularSync(`${workspace}/${relative}`, max_bytes)),
  };
}

export function createFileCache(options: { max_bytes: number; clock: Pick<Clock, 'now'> }): FileCache {
  // In the order of their last use.
  const entries = new Map<string, Entry>();
  let bytes = 0;
  const forget = (key: string): void => {
    bytes -= entries.get(key)?.size ?? 0;
    entries.delete(key);
  };
  const keep = (key: string, entry: Entry): void => {
    forget(key);
    entries.set(key, entry);
    bytes += entry.size;
    for (const oldest of entries.keys()) {
      if (bytes <= MOST_BYTES) break;
      forget(oldest);
    }
  };
  return {
    async get<T>(file: CachedFile, parse: (result: ReadResult) => Promise<T>): Promise<T> {
      const path = `${file.workspace}/${file.relative}`;
      const key = `${file.workspace}\0${file.relative}`;
      const known = entries.get(key);
      if (known?.trusted && known.stamp === stampOf(await lstat(path, { bigint: true }))) {
        keep(key, known);
        return known.value as T;
      }
      const now = BigInt(options.clock.now());
      const result = await readRegular(path, options.max_bytes);
      const value = await parse(result);
      if (result.outcome === 'read') {
        const trusted = now - changedMs(result.stats) > RACY_MS;
        keep(key, { stamp: stampOf(result.stats), trusted, value, size: Number(result.stats.size) });
      } else forget(key);
      return value;
    },
  };
}

/** The change time cannot be set by hand, unlike the modification time that some tools restore. */
function stampOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

function changedMs(stats: BigIntStats): bigint {
  return (stats.mtimeNs > stats.ctimeNs ? stats.mtimeNs : stats.ctimeNs) / 1_000_000n;
}
