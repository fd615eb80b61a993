import { execFileSync } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from './mcp.ts';

export type Fault = 'fsync-fails' | 'clock-back';

/** Faults of system and disk, preloaded into processes that get `env`; see fake-faults.c. */
export interface FakeFaults {
  env: Record<string, string>;
  on(fault: Fault): Promise<void>;
  off(fault: Fault): Promise<void>;
  remove(): Promise<void>;
}

export async function fakeFaults(): Promise<FakeFaults> {
  const { path, remove } = await tempFolder('faults');
  const source = new URL('./fake-faults.c', import.meta.url).pathname;
  const library = join(path, 'fake-faults.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl']);
  return {
    env: { LD_PRELOAD: library, FAKE_FAULTS: path },
    on: (fault) => writeFile(join(path, fault), ''),
    off: (fault) => rm(join(path, fault), { force: true }),
    remove,
  };
}
