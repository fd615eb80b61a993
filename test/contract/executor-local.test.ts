import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLocalExecutor } from '../../src/adapters/local/local-executor.ts';
import { type LaunchSpec } from '../../src/runs/executor.ts';
import { clock, collect, launchSpec } from './executor-support.ts';
import { describeExecutor } from './executor.contract.ts';

describe('local executor', () => {
  let folder: string;
  const executor = createLocalExecutor({ searchPath: '/usr/bin:/bin', clock, lingerMs: 300 });
  const spec = (overrides: Partial<LaunchSpec> = {}): LaunchSpec =>
    launchSpec({ workdir: folder, ...overrides });
  const bash = (script: string): LaunchSpec => spec({ command: ['bash', '-c', script] });

  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-local-')));
  });
  afterAll(async () => rm(folder, { recursive: true }));

  describeExecutor(async () => ({ executor, spec, otherWorkdir: '/usr', ownVariables: [] }));

  it('refuses a working directory that is missing', async () => {
    const missing = spec({ workdir: join(folder, 'missing') });
    await expect(executor.start(missing, collect())).rejects.toMatchObject({
      code: 'launch_failed',
      message: expect.stringContaining('missing') as string,
    });
  });

  it('names the signal that ended it', async () => {
    const execution = await executor.start(bash('kill -KILL $$'), collect());
    const ending = await execution.ending;
    expect(ending.exit_code).toBe(137);
    expect(ending.error).toContain('SIGKILL');
  });

  it('does not wait for a background process that holds the output, and ends it', async () => {
    const sink = collect();
    const run = bash('sleep 1000 & echo $!; exit 5');
    const execution = await executor.start(run, sink);
    const ending = await execution.ending;
    expect(ending).toMatchObject({ exit_code: 5, error: expect.stringContaining('background') as string });
    expect(await executor.find(run.run_id)).toEqual({ state: 'absent' });
  });

  it('does not take a sink without room for a held pipe', async () => {
    // Each pause is longer than what background processes are given.
    const sink = collect({ write: () => false, drain: () => clock.sleep(400) });
    const execution = await executor.start(bash('head -c 100000 /dev/zero'), sink);
    expect(await execution.ending).toMatchObject({ exit_code: 0, error: null });
    expect(sink.bytes('stdout')).toHaveLength(100_000);
  });

  it('stops the whole group', async () => {
    const sink = collect();
    const run = bash('sleep 1000 & sleep 1000 & echo ready; wait');
    const execution = await executor.start(run, sink);
    await sink.until('ready');
    await execution.stop(5000);
    await execution.ending;
    expect(await executor.find(run.run_id)).toEqual({ state: 'absent' });
  });

  it('keeps running and reading after detach', async () => {
    const sink = collect();
    const run = bash('echo ready; head -c 1000000 /dev/zero; exit 6');
    const execution = await executor.start(run, sink);
    await sink.until('ready');
    execution.detach();
    expect((await execution.ending).exit_code).toBe(6);
  });

  describe('after the death of a supervisor', () => {
    const orphan = async (script: string): Promise<{ run_id: string; ended: Promise<unknown> }> => {
      const run_id = launchSpec({ workdir: folder }).run_id;
      const env = { PATH: '/usr/bin:/bin', POLYCRATE_MCP_RUN_ID: run_id };
      const child = spawn('bash', ['-c', script], {
        env,
        detached: true,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await once(child.stdout, 'data');
      return { run_id, ended: once(child, 'exit') };
    };

    it('follows what is left and admits that the exit code is unknown', async () => {
      const { run_id } = await orphan('echo ready; sleep 0.5; exit 0');
      const found = await executor.find(run_id);
      if (found.state !== 'running') throw new Error(`not found: ${found.state}`);
      const execution = await executor.adopt(run_id, found.ref, collect());
      expect(await execution.ending).toMatchObject({
        exit_code: null,
        error: 'its supervisor was killed, so its exit code was not seen',
      });
    });

    it('stops it, children included', async () => {
      const { run_id, ended } = await orphan(
        `sleep 1000 & trap '' TERM; echo ready; while :; do sleep 0.1; done`,
      );
      const found = await executor.find(run_id);
      if (found.state !== 'running') throw new Error(`not found: ${found.state}`);
      const execution = await executor.adopt(run_id, found.ref, collect());
      await execution.stop(300);
      await Promise.all([execution.ending, ended]);
      expect(await executor.find(run_id)).toEqual({ state: 'absent' });
    });

    it('never signals a process that merely has the same number', async () => {
      const { run_id, ended } = await orphan('echo ready; exec sleep 1000');
      const found = await executor.find(run_id);
      if (found.state !== 'running') throw new Error(`not found: ${found.state}`);
      const [group] = found.ref.split(':');
      const stranger = await executor.adopt('another-run', `${group}:1`, collect());
      await stranger.ending;
      await stranger.stop(10);
      expect(await executor.find(run_id)).toMatchObject({ state: 'running' });
      const execution = await executor.adopt(run_id, found.ref, collect());
      await execution.stop(5000);
      await ended;
    });
  });

  it('has no images, and says where bash was looked for if it is missing', async () => {
    expect(await executor.image('anything')).toBeNull();
    const never = new AbortController().signal;
    await expect(executor.pull('anything', () => undefined, never)).rejects.toMatchObject({
      code: 'refused',
    });
    const bare = createLocalExecutor({ searchPath: folder, clock });
    expect(await bare.status()).toMatchObject({ available: false, tried: [join(folder, 'bash')] });
  });
});
