import type { BigIntStats } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { Clock } from '../../shared/ports.ts';
import { readRegular, type ReadResult } from './open-file.ts';

/** A file changed within this time of being read may change again under the same time stamp: not trusted. */
const RACY_MS = 100n;

interface Entry {
  stamp: string;
  trusted: boolean;
  value: unknown;
}

/** `relative` belongs to the key, because what is made of a file names it as its workspace sees it. */
export interface CachedFile {
  workspace: string;
  relative: string;
}

/** Remembers what was made of a file until the file changes. */
export interface FileCache {
  /** Reads and parses, or answers what the same file gave last time. Throws the system's error for I/O. */
  get<T>(file: CachedFile, parse: (result: ReadResult) => Promise<T>): Promise<T>;
  /** Forgets files that were not asked for since the last call. */
  prune(): void;
}

export function createFileCache(options: { max_bytes: number; clock: Pick<Clock, 'now'> }): FileCache {
  let entries = new Map<string, Entry>();
  let previous = new Map<string, Entry>();
  return {
    async get<T>(file: CachedFile, parse: (result: ReadResult) => Promise<T>): Promise<T> {
      const path = `${file.workspace}/${file.relative}`;
      const key = `${file.workspace}\0${file.relative}`;
      const known = entries.get(key) ?? previous.get(key);
      if (known?.trusted && known.stamp === stampOf(await lstat(path, { bigint: true }))) {
        entries.set(key, known);
        return known.value as T;
      }
      const now = BigInt(options.clock.now());
      const result = await readRegular(path, options.max_bytes);
      const value = await parse(result);
      if (result.outcome === 'read') {
        const trusted = now - changedMs(result.stats) > RACY_MS;
        entries.set(key, { stamp: stampOf(result.stats), trusted, value });
      }
      return value;
    },
    prune: () => {
      previous = entries;
      entries = new Map();
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
