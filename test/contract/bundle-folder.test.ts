import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBundleFolder } from '../../src/adapters/host/bundle-folder.ts';
import { tempFolder } from '../support/mcp.ts';

const ADAPTER = new URL('../../src/adapters/host/bundle-folder.ts', import.meta.url).pathname;
const WRITER = `
  import { createBundleFolder } from './adapter.mjs';
  const draft = await createBundleFolder(process.argv[1]);
  for (let n = 0; n < 10; n += 1) await draft.write('runs.csv', 'x'.repeat(100_000));
  console.log('half');
  setInterval(() => undefined, 1_000);
`;

describe('an export that was stopped', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  beforeEach(async () => {
    folder = await tempFolder('bundle-folder');
    const options = { bundle: true, format: 'esm', platform: 'node', logLevel: 'error' } as const;
    await build({ entryPoints: [ADAPTER], outfile: join(folder.path, 'adapter.mjs'), ...options });
  });
  afterEach(() => folder.remove());

  /** A process that has written half of its bundle. */
  const half = async (): Promise<ChildProcess> => {
    const args = ['--input-type=module', '--eval', WRITER, join(folder.path, 'out')];
    const child = spawn(process.execPath, args, { cwd: folder.path, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return child;
  };
  const stop = async (child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> => {
    child.kill(signal);
    const [, by] = (await once(child, 'exit')) as [number | null, string | null];
    return by;
  };
  const left = (): string[] => readdirSync(folder.path).filter((name) => name !== 'adapter.mjs');

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'by %s leaves nothing, and ends by it',
    async (signal) => {
      const child = await half();
      expect(left()).toEqual([expect.stringMatching(/^out\..+\.part$/)]);
      expect(await stop(child, signal)).toBe(signal);
      expect(left()).toEqual([]);
    },
  );

  it('by a kill is cleared away by the next to the same place, which leaves one that is being written', async () => {
    const [dead, living] = [await half(), await half()];
    expect(await stop(dead, 'SIGKILL')).toBe('SIGKILL');
    expect(left()).toHaveLength(2);
    const draft = await createBundleFolder(join(folder.path, 'out'));
    await draft.write('runs.csv', 'a');
    await draft.finish();
    await draft.publish();
    expect(left()).toEqual(['out', expect.stringContaining(`-${living.pid}-`)]);
    await stop(living, 'SIGTERM');
    expect(left()).toEqual(['out']);
  });
});
