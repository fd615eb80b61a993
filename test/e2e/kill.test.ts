import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { connect, type Connection } from '../support/mcp.ts';
import { counted, counting, wholeLog } from '../support/numbered-log.ts';
import {
  MARK,
  scriptWorkspace,
  trusted,
  type ScriptWorkspace,
  type Scripts,
} from '../support/script-workspace.ts';
import {
  createHomes,
  kill9,
  NOTHING,
  rows,
  settledTraces,
  until,
  watchEngine,
  type EngineEvents,
} from '../support/traces.ts';

// The server ends without warning; the next one finds out what became of its runs.

const BURST = 30_000;

/** Actions whose true ends are known: exit code, and what they write. */
const ACTIONS = {
  short: `${MARK}; echo short; exit 3`,
  count: `${MARK}\n${counting()}\nexit 7`,
  burst: `${MARK}; for ((i = 1; i <= ${BURST}; i++)); do echo "burst $i"; done; exit 4`,
  slow_to_stop: `trap 'echo asked; sleep 1; echo gone; exit 5' TERM; ${MARK}; echo ready; while :; do sleep 0.05; done`,
};

interface Scene {
  home: string;
  block: string;
  first: Connection;
  engine: EngineEvents;
  run_id(): Promise<string>;
}

interface Moment {
  when: string;
  action: keyof typeof ACTIONS;
  /** What the ledger must know of by then. */
  then: 'anything' | 'a record' | 'a launch';
  /** Resolves at the moment of the kill; the call has been sent. */
  comes(scene: Scene): Promise<unknown>;
}

/** Between intent and start lie a few tens of milliseconds, each of them another step. */
const afterIntent = (ms: number): Moment => ({
  when: `${ms} ms after the intent was stored`,
  action: 'short',
  then: 'a record',
  comes: async ({ run_id }) => {
    await run_id();
    await pause(ms);
  },
});

const MOMENTS: Moment[] = [
  { when: 'right after the call was sent', action: 'short', then: 'anything', comes: async () => undefined },
  { when: '30 ms after the call was sent', action: 'short', then: 'anything', comes: () => pause(30) },
  afterIntent(0),
  afterIntent(12),
  afterIntent(31),
  afterIntent(57),
  afterIntent(118),
  {
    when: 'when the container is created',
    action: 'short',
    then: 'a record',
    comes: ({ engine }) => engine.seen('create'),
  },
  {
    when: 'when the container has started',
    action: 'count',
    then: 'a launch',
    comes: ({ engine }) => engine.seen('start'),
  },
  {
    when: 'when some output is stored',
    action: 'count',
    then: 'a launch',
    comes: ({ home }) => until('some output', async () => (await storedBytes(home)) > 300),
  },
  {
    when: 'while many lines are being written',
    action: 'burst',
    then: 'a launch',
    comes: ({ home }) => until('many lines', async () => (await storedBytes(home)) > 50_000),
  },
  {
    when: 'while it is being stopped',
    action: 'slow_to_stop',
    then: 'a launch',
    async comes({ home, first, engine, run_id }) {
      await until('it to be ready', async () => (await storedBytes(home)) > 0);
      void first
        .call('cancel_action_run', { run_id: await run_id(), reason: 'enough' })
        .catch(() => undefined);
      await engine.seen('kill');
    },
  },
  {
    when: 'when the container has ended',
    action: 'short',
    then: 'a launch',
    comes: ({ engine }) => engine.seen('die'),
  },
  {
    when: 'when the end is stored',
    action: 'short',
    then: 'a launch',
    comes: ({ home }) => until('an end', () => rows(home, 'SELECT 1 FROM runs WHERE finished_at > 0').length),
  },
  {
    when: 'when the container is removed',
    action: 'short',
    then: 'a launch',
    comes: ({ engine }) => engine.seen('destroy'),
  },
];

/** Blocks of a workspace of their own each, so that no run is in another's way. */
const blockOf = (moment: Moment): string => `at-${MOMENTS.indexOf(moment)}`;

const homes = createHomes();

describeWithEngine('kill -9 of the server', () => {
  let workspace: ScriptWorkspace;
  beforeAll(async () => {
    const blocks = MOMENTS.map((moment): [string, Scripts[string]] => [blockOf(moment), ACTIONS]);
    workspace = await scriptWorkspace(Object.fromEntries(blocks));
  });
  afterAll(async () => {
    await homes.removeAll();
    await workspace.remove();
  });

  describe.concurrent('leaves nothing untold and nothing behind', () => {
    for (const moment of MOMENTS) it(moment.when, () => killedAt(moment));
  });

  async function killedAt(moment: Moment): Promise<void> {
    const home = await homes.make('killed');
    const block = blockOf(moment);
    const server = { home, env: trusted(workspace) };
    const [first, engine] = await Promise.all([connect(server), watchEngine(home)]);
    await first.call('get_status');
    const target = { workspace: 'scripts', block, action: moment.action, wait_seconds: 50 };
    void first.call('run_action', target).catch(() => undefined);
    const run_id = (): Promise<string> =>
      until('an intent', () => rows(home, 'SELECT id FROM runs')[0]?.['id'] as string | undefined);
    await moment.comes({ home, block, first, engine, run_id });
    await kill9(first);

    const second = await connect(server);
    await workspace.enough(block);
    const { data } = await second.call('search_action_runs', { include_excluded: true });
    const runs = await Promise.all(
      data.runs.map(async ({ id }: { id: string }) => {
        await second.call('wait_for_action_run', { run_id: id, wait_seconds: 45 });
        return (await second.call('get_action_run', { run_id: id })).data.run;
      }),
    );
    await Promise.all(runs.map((run) => expectTruth(second, run, moment.action)));
    const launched = runs.filter((run) => run.launched).length;
    if (moment.then !== 'anything') expect(runs).toHaveLength(1);
    if (moment.then === 'a launch') expect(launched).toBe(1);
    expect(await workspace.written(`marks/${block}`)).toBe('ran\n'.repeat(launched));
    expect(engine.count('start')).toBe(launched);
    expect(await settledTraces(home, [second.pid])).toEqual(NOTHING);
    engine.close();
    await second.close();
  }
});

/** What the record says is what happened: the container's own exit code and everything it wrote. */
async function expectTruth(server: Connection, run: any, action: Moment['action']): Promise<void> {
  if (!run.launched) {
    expect(run).toMatchObject({ status: 'failed', exit_code: null, started_at: null, log: null });
    expect(run.status_reason).toMatch(/^not launched: /);
    return;
  }
  const { stdout, stderr } = await wholeLog(server, run.id);
  const last = Number(/^end (\d+)$/.exec(stdout.at(-1) ?? '')?.[1] ?? 0);
  const [status, exit_code, output] = {
    short: ['failed', 3, { stdout: ['short'], stderr: [] }] as const,
    count: ['failed', 7, counted(last)] as const,
    burst: ['failed', 4, { stdout: bursts(), stderr: [] }] as const,
    slow_to_stop: ['cancelled', 5, { stdout: ['ready', 'asked', 'gone'], stderr: [] }] as const,
  }[action];
  expect(run).toMatchObject({ status, exit_code, log: { gap: null } });
  expect({ stdout, stderr }).toEqual(output);
  expect(Date.parse(run.finished_at)).toBeGreaterThanOrEqual(Date.parse(run.started_at));
}

function bursts(): string[] {
  return Array.from({ length: BURST }, (_, i) => `burst ${i + 1}`);
}

/** How much of the logs of a home lies on its disk. */
async function storedBytes(home: string): Promise<number> {
  const logs = join(home, 'logs');
  const files = await readdir(logs, { recursive: true }).catch(() => []);
  const texts = files.filter((file) => file.endsWith('.log')).map((file) => readFile(join(logs, file)));
  return (await Promise.all(texts)).reduce((total, text) => total + text.length, 0);
}
