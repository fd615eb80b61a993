import type { Dirent } from 'node:fs';
import type { Limit } from './limit.ts';
import type { Witnesses } from './witnesses.ts';

/** One look at the disk: how many questions at a time, and what the answers rest on. */
export interface Scan {
  limit: Limit;
  witnesses: Witnesses;
  /** What is in a folder; throws the system's error. */
  entries(path: string): Promise<Dirent[]>;
}
