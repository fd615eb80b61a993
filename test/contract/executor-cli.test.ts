import { chmod, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createCliExecutor } from '../../src/adapters/local/cli-executor.ts';
import type { Executor, LaunchSpec } from '../../src/runs/executor.ts';
import { installFakePolycrate, type FakePolycrate, type Release } from '../support/fake-polycrate.ts';
import { clock, collect, launchSpec } from './executor-support.ts';
import { describeExecutor } from './executor.contract.ts';

describe('cli executor', () => {
  let folder: string;
  const fakes: FakePolycrate[] = [];
  const spec = (overrides: Partial<LaunchSpec> = {}): LaunchSpec =>
    launchSpec({ workdir: folder, ...overrides });

  interface Parts {
    command?: string;
    searchPath?: string;
    stopContainers?: (transaction: string, grace_ms: number) => Promise<void>;
  }
  const executorOf = ({ command, searchPath = '/nonexistent', stopContainers }: Parts): Executor =>
    createCliExecutor({
      command: command ?? null,
      searchPath,
      environment: { PATH: process.env['PATH'] ?? '', HOME: folder },
      runtimeFolder: (run_id) => join(folder, 'runtime', run_id),
      stopContainers: stopContainers ?? (async () => undefined),
      lingerMs: 300,
      clock,
    });
  const install = async (release: Release = {}): Promise<FakePolycrate> => {
    const fake = await installFakePolycrate(release);
    fakes.push(fake);
    return fake;
  };

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-cli-')));
  });
  afterEach(async () => {
    await Promise.all(fakes.splice(0).map((fake) => fake.remove()));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
    await fake?.remove();
  });

  let fake: FakePolycrate | undefined;
  describeExecutor(async () => {
    fake = await installFakePolycrate();
    return { executor: executorOf({ command: fake.path }), spec, otherWorkdir: '/usr', ownVariables: [] };
  });

  describe('finds the CLI', () => {
    it('in PATH, with its version and the flags that its help names', async () => {
      const { folder: place, path } = await install({
        version: '0.41.2',
        flags: ['--no-api-submit-action-runs'],
      });
      const installed = await executorOf({ searchPath: `/nonexistent:${place}` }).installed?.();
      expect(installed).toEqual({
        path,
        version: '0.41.2',
        flags: ['--force', '--local', '--no-api-submit-action-runs', '--runtime-dir', '--workspace'],
      });
    });

    it('and asks it once, outside of any workspace, with nothing to read', async () => {
      const { path, calls } = await install();
      const executor = executorOf({ command: path });
      await Promise.all([executor.installed?.(), executor.status()]);
      await executor.installed?.();
      expect((await calls()).map(({ args }) => args.join(' ')).sort()).toEqual(['run --help', 'version']);
      for (const call of await calls()) expect(call).toMatchObject({ cwd: '/', stdin: 'null' });
    });

    it('again after an upgrade', async () => {
      const { folder: place } = await install();
      const path = join(place, 'other');
      const say = async (version: string): Promise<void> => {
        await writeFile(path, `#!/bin/sh\necho ${version}\n`);
        await chmod(path, 0o755);
      };
      const executor = executorOf({ command: path });
      await say('0.40.0');
      expect(await executor.installed?.()).toMatchObject({ version: '0.40.0' });
      await say('0.100.0');
      expect(await executor.installed?.()).toMatchObject({ version: '0.100.0' });
    });

    it('or names each place that was tried', async () => {
      const executor = executorOf({ searchPath: '/nowhere:/neither' });
      const tried = ['/nowhere/polycrate', '/neither/polycrate'];
      await expect(executor.installed?.()).rejects.toMatchObject({
        code: 'engine_unavailable',
        valid: tried,
      });
      expect(await executor.status()).toMatchObject({ available: false, tried });
    });

    it('but not a program that does not work', async () => {
      await expect(executorOf({ command: '/bin/false' }).installed?.()).rejects.toMatchObject({
        code: 'engine_unavailable',
        message: expect.stringContaining('/bin/false') as string,
      });
    });
  });

  describe('knows the transaction', () => {
    const TXID = '0190aaaa-0000-4000-8000-000000000001';
    const bash = (script: string): LaunchSpec => spec({ command: ['bash', '-c', script] });

    it.each([
      ['its log', `echo 'level=fatal msg=x txid=${TXID}' >&2`],
      ['its log in JSON', `echo '{"level":"fatal","txid":"${TXID}"}' >&2`],
      ['its log in pieces', `printf 'txid=${TXID.slice(0, 9)}' >&2; sleep 0.2; echo '${TXID.slice(9)}' >&2`],
      ['its runtime folder', `mkdir -p runtime/$POLYCRATE_MCP_RUN_ID/${TXID}`],
    ])('from %s', async (_where, script) => {
      const execution = await executorOf({}).start(bash(script), collect());
      expect(await execution.ending).toMatchObject({ transaction: TXID });
    });

    it.each([
      ['what the action prints', `echo txid=${TXID}`],
      ['a word that is none', 'echo txid=../../etc >&2'],
      ['two folders', `mkdir -p runtime/$POLYCRATE_MCP_RUN_ID/{${TXID},${TXID.replace('0190', '0191')}}`],
    ])('but not from %s', async (_where, script) => {
      const execution = await executorOf({}).start(bash(script), collect());
      expect(await execution.ending).toMatchObject({ transaction: null });
    });

    it('and has its containers stopped when the run is', async () => {
      const stopped: unknown[] = [];
      const executor = executorOf({ stopContainers: async (...asked) => void stopped.push(asked) });
      const sink = collect();
      const execution = await executor.start(
        bash(`echo txid=${TXID} >&2; echo ready; exec sleep 1000`),
        sink,
      );
      await sink.until('ready');
      await execution.stop(5000);
      expect(await execution.ending).toMatchObject({ exit_code: 143, unseen: null });
      // The second time when nobody is left who could start another one.
      expect(stopped).toEqual([
        [TXID, 5000],
        [TXID, 0],
      ]);
    });

    it.each([
      ['no engine can be asked', `echo txid=${TXID} >&2;`],
      ['it told none', ''],
    ])('and says what cannot be seen where %s', async (_why, first) => {
      const executor = executorOf({ stopContainers: () => Promise.reject(new Error('away')) });
      const sink = collect();
      const execution = await executor.start(bash(`${first} echo ready; exec sleep 1000`), sink);
      await sink.until('ready');
      await execution.stop(5000);
      expect((await execution.ending).unseen).toContain('cannot be seen');
    });
  });

  it('stops what left the process group', async () => {
    const sink = collect();
    const run = spec({ command: ['bash', '-c', 'setsid sleep 1000 & echo ready; wait'] });
    const executor = executorOf({});
    const execution = await executor.start(run, sink);
    await sink.until('ready');
    await execution.stop(5000);
    await execution.ending;
    expect(await executor.find(run.run_id)).toEqual({ state: 'absent' });
  });
});
