import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Execution, type Executor, type LaunchSpec } from '../../src/runs/executor.ts';
import { type AppError } from '../../src/shared/errors.ts';
import { collect, slow } from './executor-support.ts';

export interface ExecutorUnderTest {
  executor: Executor;
  /** A spec that this executor can run as it is. */
  spec(overrides?: Partial<LaunchSpec>): LaunchSpec;
  /** An existing folder to run in, other than the default one. */
  otherWorkdir: string;
  /** Names of variables that come with the place itself, such as an image's own. */
  ownVariables: readonly string[];
}

const CANARY = 'POLYCRATE_MCP_CONTRACT_CANARY';

/** What every executor promises; the port's definition in executable form. */
export function describeExecutor(make: () => Promise<ExecutorUnderTest>): void {
  let under: ExecutorUnderTest;
  const started: Execution[] = [];

  beforeAll(async () => {
    process.env[CANARY] = 'leaked';
    under = await make();
  });
  afterAll(async () => {
    delete process.env[CANARY];
    await Promise.all(started.map((execution) => execution.dispose()));
  });

  const start = async (overrides: Partial<LaunchSpec>, sink = collect()) => {
    const spec = under.spec(overrides);
    const execution = await under.executor.start(spec, sink);
    started.push(execution);
    return { spec, execution, sink };
  };
  const bash = (script: string, sink = collect()) => start({ command: ['bash', '-c', script] }, sink);

  describe('ends', () => {
    it.each([
      ['success', 'true', 0],
      ['a failure', 'exit 1', 1],
      ['a code of its own', 'exit 7', 7],
      ['a command that bash does not find', 'no-such-command-anywhere', 127],
    ])('reports %s', async (_name, script, code) => {
      const before = Date.now();
      const { execution } = await bash(script);
      const ending = await execution.ending;
      expect(ending).toMatchObject({ exit_code: code, out_of_memory: false, error: null });
      expect(execution.started_at).toBeGreaterThanOrEqual(before - 1000);
      expect(ending.finished_at).toBeGreaterThanOrEqual(execution.started_at);
      expect(ending.finished_at).toBeLessThanOrEqual(Date.now() + 1000);
    });

    it('leaves nothing of a program that does not exist, and never calls it a success', async () => {
      const spec = under.spec({ command: ['/no/such/program'] });
      const outcome = await under.executor.start(spec, collect()).then(
        async (execution) => {
          const { exit_code } = await execution.ending;
          await execution.dispose();
          return exit_code;
        },
        (error: unknown) => (error as AppError).code,
      );
      expect([127, 'launch_failed']).toContain(outcome);
      expect(await under.executor.find(spec.run_id)).toEqual({ state: 'absent' });
    });

    it('keeps ten at once apart', async () => {
      const runs = await Promise.all(
        Array.from({ length: 10 }, (_, n) => bash(`echo out-${n}; echo err-${n} >&2; exit ${n}`)),
      );
      const codes = await Promise.all(runs.map(async ({ execution }) => (await execution.ending).exit_code));
      expect(codes).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      runs.forEach(({ sink }, n) => {
        expect([sink.text('stdout'), sink.text('stderr')]).toEqual([`out-${n}\n`, `err-${n}\n`]);
      });
    });
  });

  describe('hands over output', () => {
    it('keeps the streams apart and each in its order, to the last byte without a newline', async () => {
      const { execution, sink } = await bash(
        'for i in {1..500}; do echo o$i; echo e$i >&2; done; printf end',
      );
      await execution.ending;
      const numbers = Array.from({ length: 500 }, (_, i) => i + 1);
      expect(sink.text('stdout')).toBe(numbers.map((i) => `o${i}\n`).join('') + 'end');
      expect(sink.text('stderr')).toBe(numbers.map((i) => `e${i}\n`).join(''));
    });

    it('changes no byte', async () => {
      const script = String.raw`for i in {0..255}; do printf "\\x$(printf %02x $i)"; done`;
      const { execution, sink } = await bash(script);
      await execution.ending;
      expect(sink.bytes('stdout')).toEqual(Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
      expect(sink.bytes('stderr')).toHaveLength(0);
    });

    it('loses nothing of some megabytes to a slow sink', async () => {
      const sink = collect(slow);
      const { execution } = await bash('seq -w 1 600000', sink);
      expect((await execution.ending).exit_code).toBe(0);
      const expected = createHash('sha256');
      for (let i = 1; i <= 600_000; i++) expected.update(`${String(i).padStart(6, '0')}\n`);
      expect(sink.bytes('stdout')).toHaveLength(4_200_000);
      expect(createHash('sha256').update(sink.bytes('stdout')).digest('hex')).toBe(expected.digest('hex'));
    });
  });

  describe('stops', () => {
    it.each([0, 3])('politely, and reports the code %i that the action chose', async (code) => {
      const { execution, sink } = await bash(
        `trap 'echo bye; exit ${code}' TERM; echo ready; while true; do read -t 0.05 < <(:) ; sleep 0.05; done`,
      );
      await sink.until('ready');
      await execution.stop(20_000);
      expect((await execution.ending).exit_code).toBe(code);
      expect(sink.text('stdout')).toContain('bye');
    });

    it('firmly what ignores the polite signal', async () => {
      const { execution, sink } = await bash(`trap '' TERM; echo ready; while true; do sleep 0.05; done`);
      await sink.until('ready');
      await execution.stop(300);
      expect((await execution.ending).exit_code).toBe(137);
    });

    it('a plain command by the polite signal', async () => {
      const { execution, sink } = await bash('echo ready; exec sleep 1000');
      await sink.until('ready');
      await execution.stop(20_000);
      expect((await execution.ending).exit_code).toBe(143);
    });

    it('harmlessly after the end, and disposes twice', async () => {
      const { execution, spec } = await bash('exit 4');
      await execution.ending;
      await execution.stop(1000);
      await execution.dispose();
      await execution.dispose();
      await execution.stop(1000);
      expect((await execution.ending).exit_code).toBe(4);
      expect(await under.executor.find(spec.run_id)).toEqual({ state: 'absent' });
    });
  });

  describe('surroundings', () => {
    it('passes the environment as it is and nothing of our own', async () => {
      const env = { PATH: '/usr/bin:/bin', GREETING: 'a "b" $c `d`\nline two', EMPTY: '' };
      const { execution, sink, spec } = await start({ command: ['env', '-0'], env });
      await execution.ending;
      const seen = Object.fromEntries(
        sink
          .text('stdout')
          .split('\0')
          .filter(Boolean)
          .map((entry) => entry.split(/=(.*)/s).slice(0, 2)),
      ) as Record<string, string>;
      expect(seen).toMatchObject(env);
      // What the engine itself adds to any container, and the mark that finds a local run again.
      const known = ['PATH', 'GREETING', 'EMPTY', 'HOME', 'HOSTNAME', 'POLYCRATE_MCP_RUN_ID'];
      const allowed = [...known, ...under.ownVariables];
      expect(Object.keys(seen).filter((name) => !allowed.includes(name))).toEqual([]);
      expect([undefined, spec.run_id]).toContain(seen['POLYCRATE_MCP_RUN_ID']);
    });

    it('passes arguments without a shell', async () => {
      const { execution, sink } = await start({ command: ['printf', '%s|', 'a b', '$HOME', '`id`', '*'] });
      await execution.ending;
      expect(sink.text('stdout')).toBe('a b|$HOME|`id`|*|');
    });

    it('runs in the working directory', async () => {
      const { execution, sink } = await start({ command: ['pwd'], workdir: under.otherWorkdir });
      await execution.ending;
      expect(sink.text('stdout')).toBe(`${under.otherWorkdir}\n`);
    });
  });

  describe('finds', () => {
    it('nothing of a run that never was', async () => {
      expect(await under.executor.find('01900000-0000-7000-8000-000000000000')).toEqual({ state: 'absent' });
    });

    it('a running one by its id, with the same name for it', async () => {
      const { execution, sink, spec } = await bash('echo ready; exec sleep 1000');
      await sink.until('ready');
      const found = await under.executor.find(spec.run_id);
      expect(found).toMatchObject({ state: 'running', ref: execution.ref });
      if (found.state !== 'running') return;
      expect(Math.abs(found.started_at - execution.started_at)).toBeLessThan(2000);
      await execution.stop(5000);
      await execution.ending;
    });
  });

  it('says that it is there, and in which version', async () => {
    const status = await under.executor.status();
    expect(status).toMatchObject({ available: true, problem: null });
    expect(status.version).toMatch(/^\d/);
  });
}
