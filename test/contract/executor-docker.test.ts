import Docker from 'dockerode';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDockerExecutor,
  type DockerExecutorOptions,
} from '../../src/adapters/docker/docker-executor.ts';
import { containerOptions } from '../../src/adapters/docker/container-spec.ts';
import { type Execution, type Executor, type LaunchSpec } from '../../src/runs/executor.ts';
import { describeWithEngine, TEST_IMAGE } from '../support/engine.ts';
import { clock, collect, gated, launchSpec, quiet } from './executor-support.ts';
import { describeExecutor } from './executor.contract.ts';
import { openEngineProxy } from '../support/engine-proxy.ts';

const LEDGER = `contract-${randomUUID()}`;

function options(overrides: Partial<DockerExecutorOptions> = {}): DockerExecutorOptions {
  const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  const nowhere = {
    context: null,
    certPath: null,
    dockerConfigDir: null,
    home: '/nonexistent',
    runtimeDir: null,
  };
  const common = { ledgerLabel: LEDGER, pullTimeoutMs: 60_000, helperEnv: {}, clock, log: quiet };
  return { host, ...nowhere, ...common, ...overrides };
}

function spec(overrides: Partial<LaunchSpec> = {}): LaunchSpec {
  return launchSpec({ image: TEST_IMAGE, workdir: '/', ...overrides });
}

const bash = (script: string, overrides: Partial<LaunchSpec> = {}): LaunchSpec =>
  spec({ command: ['bash', '-c', script], ...overrides });

describeWithEngine('docker executor', () => {
  const docker = new Docker({ socketPath: '/var/run/docker.sock' });
  const executor: Executor = createDockerExecutor(options());
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'polycrate-docker-'));
  });
  afterAll(async () => {
    const filters = { label: [`polycrate-mcp.ledger=${LEDGER}`] };
    const left = await docker.listContainers({ all: true, filters });
    await Promise.all(left.map(({ Id }) => docker.getContainer(Id).remove({ force: true })));
    await rm(folder, { recursive: true });
  });

  /** A container as a supervisor leaves it that died between two steps. */
  const abandoned = async (launch: LaunchSpec, steps: 'create' | 'start'): Promise<Docker.Container> => {
    const container = await docker.createContainer(containerOptions(launch, LEDGER));
    if (steps === 'start') await container.start();
    return container;
  };
  const found = async (run_id: string): Promise<string> => {
    const leftover = await executor.find(run_id);
    if (leftover.state === 'absent') throw new Error('the container was not found');
    return leftover.ref;
  };

  describeExecutor(async () => {
    const { Env } = (await docker.getImage(TEST_IMAGE).inspect()).Config;
    const ownVariables = (Env ?? []).map((entry) => entry.replace(/=.*/s, ''));
    return { executor, spec, otherWorkdir: '/usr', ownVariables };
  });

  describe('container', () => {
    it('carries name, labels, limits and a limited log, and is neither privileged nor removed by itself', async () => {
      const limits = { memory_bytes: 64 << 20, cpus: 0.5, pids: 50, engine_log_bytes: 5_000_000 };
      const launch = bash('exit 0', { labels: { team: 'blue' }, limits });
      const execution = await executor.start(launch, collect());
      const facts = await docker.getContainer(execution.ref).inspect();
      expect(facts.Name).toBe(`/polycrate-${launch.run_id}`);
      expect(facts.Config.Labels).toMatchObject({
        team: 'blue',
        'polycrate-mcp.run': launch.run_id,
        'polycrate-mcp.ledger': LEDGER,
      });
      expect(facts.HostConfig).toMatchObject({
        AutoRemove: false,
        Init: true,
        Privileged: false,
        NetworkMode: 'host',
        Memory: 64 << 20,
        NanoCpus: 500_000_000,
        PidsLimit: 50,
        LogConfig: { Type: 'json-file', Config: { 'max-size': '1000000', 'max-file': '5' } },
      });
      expect(execution.image_digest).toBe((await executor.image(TEST_IMAGE))?.digest);
      await execution.ending;
      await execution.dispose();
    });

    it('starts exactly the image that was planned', async () => {
      const image = await executor.image(TEST_IMAGE);
      const execution = await executor.start(
        spec({ image: 'gone.example/other:1', image_digest: image?.digest ?? '' }),
        collect(),
      );
      expect((await execution.ending).exit_code).toBe(0);
      await execution.dispose();
    });

    it('sees extra hosts', async () => {
      const sink = collect();
      const launch = spec({
        command: ['getent', 'hosts', 'db.example'],
        extra_hosts: ['db.example:192.0.2.7'],
      });
      const execution = await executor.start(launch, sink);
      await execution.ending;
      expect(sink.text('stdout')).toContain('192.0.2.7');
      await execution.dispose();
    });

    it('reads a read-only mount and cannot write to it, and writes to another', async () => {
      await writeFile(join(folder, 'note'), 'from the host');
      const mounts = [
        { host: folder, container: '/ro', readonly: true },
        { host: folder, container: '/rw', readonly: false },
      ];
      const sink = collect();
      const execution = await executor.start(
        bash('cat /ro/note; echo x > /ro/a || echo refused > /rw/b', { mounts }),
        sink,
      );
      await execution.ending;
      expect(sink.text('stdout')).toBe('from the host');
      expect(existsSync(join(folder, 'a'))).toBe(false);
      expect(await readFile(join(folder, 'b'), 'utf8')).toBe('refused\n');
      await execution.dispose();
    });

    it('tells when it ran out of memory', async () => {
      const limits = { ...spec().limits, memory_bytes: 48 << 20 };
      const launch = spec({ command: ['python3', '-c', 'x = bytearray(300 << 20)'], limits });
      const execution = await executor.start(launch, collect());
      expect(await execution.ending).toMatchObject({ out_of_memory: true, exit_code: 137 });
      await execution.dispose();
    });

    it('settles when somebody removes it', async () => {
      const execution = await executor.start(bash('exec sleep 1000'), collect());
      await docker.getContainer(execution.ref).remove({ force: true });
      expect(await execution.ending).toMatchObject({
        exit_code: null,
        error: expect.stringContaining('removed') as string,
      });
      await execution.dispose();
    });
  });

  describe('a launch that fails leaves nothing', () => {
    it('with a mount source that is missing, which is not created', async () => {
      const host = join(folder, 'missing');
      const launch = spec({ mounts: [{ host, container: '/x', readonly: false }] });
      await expect(executor.start(launch, collect())).rejects.toMatchObject({
        code: 'launch_failed',
        message: expect.stringContaining(host) as string,
      });
      expect(existsSync(host)).toBe(false);
      expect(await executor.find(launch.run_id)).toEqual({ state: 'absent' });
    });

    it('with an image that is missing', async () => {
      const launch = spec({ image: 'polycrate-mcp-test/never-built:1' });
      await expect(executor.start(launch, collect())).rejects.toMatchObject({
        code: 'launch_failed',
        message: expect.stringContaining('polycrate-mcp-test/never-built:1') as string,
        next: expect.stringContaining('POLYCRATE_MCP_PULL') as string,
      });
      expect(await executor.image('polycrate-mcp-test/never-built:1')).toBeNull();
    });

    it('when the engine refuses to start what it created', async () => {
      // A folder cannot be mounted onto a file: found out only at start.
      const launch = spec({ mounts: [{ host: folder, container: '/etc/passwd', readonly: true }] });
      await expect(executor.start(launch, collect())).rejects.toMatchObject({ code: 'launch_failed' });
      expect(await executor.find(launch.run_id)).toEqual({ state: 'absent' });
    });
  });

  describe('adoption', () => {
    it('takes over a running container with its whole output and its true exit code', async () => {
      const launch = bash(
        'echo first; echo careful >&2; until test -e /gate/go; do sleep 0.05; done; echo last; exit 9',
        {
          mounts: [{ host: folder, container: '/gate', readonly: true }],
        },
      );
      await abandoned(launch, 'start');
      const sink = collect();
      const execution = await executor.adopt(launch.run_id, await found(launch.run_id), sink);
      await sink.until('first');
      await writeFile(join(folder, 'go'), '');
      expect(await execution.ending).toMatchObject({ exit_code: 9, error: null });
      expect([sink.text('stdout'), sink.text('stderr')]).toEqual(['first\nlast\n', 'careful\n']);
      await execution.dispose();
    });

    it('takes over one that has ended', async () => {
      const launch = bash('echo out; echo err >&2; printf tail; exit 7');
      const container = await abandoned(launch, 'start');
      await container.wait();
      expect(await executor.find(launch.run_id)).toMatchObject({ state: 'exited' });
      const sink = collect();
      const execution = await executor.adopt(launch.run_id, await found(launch.run_id), sink);
      const ending = await execution.ending;
      expect(ending.exit_code).toBe(7);
      expect(ending.output_incomplete).toBeUndefined();
      expect([sink.text('stdout'), sink.text('stderr')]).toEqual(['out\ntail', 'err\n']);
      const { State } = await container.inspect();
      expect(execution.started_at).toBe(Date.parse(State.StartedAt));
      expect(ending.finished_at).toBe(Math.max(Date.parse(State.FinishedAt), Date.parse(State.StartedAt)));
      await execution.dispose();
    });

    it('stops what it took over', async () => {
      const launch = bash('echo ready; exec sleep 1000');
      await abandoned(launch, 'start');
      const execution = await executor.adopt(launch.run_id, await found(launch.run_id), collect());
      await execution.stop(10_000);
      expect((await execution.ending).exit_code).toBe(143);
      await execution.dispose();
    });

    it('says so when the engine may have dropped the beginning', async () => {
      const limits = { ...spec().limits, engine_log_bytes: 400_000 };
      const launch = bash('seq 1 100000', { limits });
      const container = await abandoned(launch, 'start');
      await container.wait();
      const sink = collect();
      const execution = await executor.adopt(launch.run_id, container.id, sink);
      expect(await execution.ending).toMatchObject({ exit_code: 0, output_incomplete: true });
      expect(sink.text('stdout')).not.toMatch(/^1\n/);
      expect(sink.text('stdout')).toMatch(/\n100000\n$/);
      await execution.dispose();
    });

    it('removes what was created and never started, and refuses to adopt it', async () => {
      const launch = bash('echo never');
      const container = await abandoned(launch, 'create');
      expect(await executor.find(launch.run_id)).toEqual({ state: 'created', ref: container.id });
      await expect(executor.adopt(launch.run_id, container.id, collect())).rejects.toThrow('never started');
      expect(await executor.removeUnstarted(container.id)).toBe(true);
      expect(await executor.removeUnstarted(container.id)).toBe(true);
      expect(await executor.find(launch.run_id)).toEqual({ state: 'absent' });
    });

    it.each([
      ['runs', 'exec sleep 1000'],
      ['has ended', 'exit 3'],
    ])('does not remove what was seen created and now %s', async (state, command) => {
      const launch = bash(command);
      const container = await abandoned(launch, 'create');
      const ref = await found(launch.run_id);
      await container.start();
      if (state === 'has ended') await container.wait();
      expect(await executor.removeUnstarted(ref)).toBe(false);
      expect((await container.inspect()).Id).toBe(ref);
      await container.remove({ force: true });
    });
  });

  describe('a sink that stalls', () => {
    const lines = (count: number): string =>
      Array.from({ length: count }, (_, i) => `line ${i + 1}\n`).join('');

    it('does not freeze the container, and gets every byte later', async () => {
      const pacing = gated();
      const sink = collect(pacing);
      const impatient = createDockerExecutor(options({ stallMs: 100 }));
      const execution = await impatient.start(
        bash('for i in {1..300000}; do echo line $i; done; exit 5'),
        sink,
      );
      // Far more than pipes and sockets hold: it can only end because nobody holds it up.
      await docker.getContainer(execution.ref).wait();
      pacing.open();
      expect(await execution.ending).toMatchObject({ exit_code: 5 });
      expect(sink.text('stdout') === lines(300_000)).toBe(true);
      await execution.dispose();
    });

    it('is left behind by detach, and an adopter recovers everything', async () => {
      const launch = bash('for i in {1..300000}; do echo line $i; done; exit 5');
      const execution = await executor.start(launch, collect(gated()));
      execution.detach();
      expect((await execution.ending).exit_code).toBe(5);
      const sink = collect();
      const adopted = await executor.adopt(launch.run_id, execution.ref, sink);
      expect((await adopted.ending).exit_code).toBe(5);
      expect(sink.text('stdout') === lines(300_000)).toBe(true);
      await adopted.dispose();
    });
  });

  describe('a connection that breaks', () => {
    const launch = (gate = '/gate/again'): LaunchSpec =>
      bash(`echo first; until test -e ${gate}; do sleep 0.05; done; echo last; exit 6`, {
        mounts: [{ host: folder, container: '/gate', readonly: true }],
      });

    it('is taken up again without losing or repeating output', async () => {
      const proxy = await openEngineProxy('/var/run/docker.sock');
      const sink = collect();
      const execution: Execution = await createDockerExecutor(options({ host: proxy.address })).start(
        launch(),
        sink,
      );
      await sink.until('first');
      proxy.cut();
      await writeFile(join(folder, 'again'), '');
      await docker.getContainer(execution.ref).wait();
      proxy.restore();
      expect(await execution.ending).toMatchObject({ exit_code: 6 });
      expect(sink.text('stdout')).toBe('first\nlast\n');
      await execution.dispose();
      await proxy.close();
    });

    it('for good rejects the ending and leaves the container to an adopter', async () => {
      const proxy = await openEngineProxy('/var/run/docker.sock');
      const impatient = createDockerExecutor(options({ host: proxy.address, unreachableMs: 300 }));
      const run = launch('/gate/never');
      const sink = collect();
      const execution = await impatient.start(run, sink);
      await sink.until('first');
      proxy.cut();
      await expect(execution.ending).rejects.toMatchObject({ code: 'engine_unavailable' });
      await expect(impatient.find(run.run_id)).rejects.toMatchObject({ code: 'engine_unavailable' });
      expect(await executor.find(run.run_id)).toMatchObject({ state: 'running', ref: execution.ref });
      await proxy.close();
    });
  });
});

describe('docker executor without an engine', () => {
  it('names the place that DOCKER_HOST gave and why it failed', async () => {
    const executor = createDockerExecutor(options({ host: 'unix:///nonexistent/docker.sock' }));
    const status = await executor.status();
    expect(status).toMatchObject({ available: false, endpoint: null, version: null });
    expect(status.tried).toEqual(['DOCKER_HOST unix:///nonexistent/docker.sock: there is no such socket']);
    expect(status.problem).toContain('/nonexistent/docker.sock');
    await expect(executor.start(spec(), collect())).rejects.toMatchObject({ code: 'engine_unavailable' });
    await expect(executor.image('a')).rejects.toMatchObject({ code: 'engine_unavailable' });
  });

  it('refuses ssh in clear words', async () => {
    const executor = createDockerExecutor(options({ host: 'ssh://somewhere' }));
    expect((await executor.status()).problem).toContain('over ssh are not supported');
  });
});
