import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { connect, type Answer, type Connection } from '../support/mcp.ts';
import { wholeLog } from '../support/numbered-log.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { createHomes, NOTHING, settledTraces, until } from '../support/traces.ts';

// Many runs, many callers, one ledger: two servers share the home in all of these.

const MANY = Array.from({ length: 20 }, (_, n) => `many-${n}`);
const FOREVER = 'echo ready; while :; do sleep 0.05; done';

describeWithEngine('at the same time', () => {
  let workspace: ScriptWorkspace;
  const homes = createHomes();
  let home: string;
  let first: Connection;
  let second: Connection;

  beforeAll(async () => {
    workspace = await scriptWorkspace({
      ...Object.fromEntries(MANY.map((block, n) => [block, { run: manyScript(block, n) }])),
      same: { run: `${MARK}; sleep 0.5; echo done` },
      busy: { run: `${MARK}; ${FOREVER}` },
      slow: { run: FOREVER },
      remote: { run: FOREVER },
      stubborn: { run: `trap '' TERM; ${FOREVER}` },
    });
    home = await homes.make('parallel');
    const options = { home, env: trusted(workspace) };
    [first, second] = await Promise.all([connect(options), connect(options)]);
  });
  afterAll(async () => {
    const left = await settledTraces(home, [first.pid, second.pid]);
    await Promise.all([first.close(), second.close()]);
    await Promise.all([homes.removeAll(), workspace.remove()]);
    expect(left).toEqual(NOTHING);
  });

  const start = (server: Connection, block: string, extra: Record<string, unknown> = {}): Promise<Answer> =>
    server.call('run_action', { workspace: 'scripts', block, action: 'run', wait_seconds: 0, ...extra });
  const ready = (server: Connection, run_id: string): Promise<unknown> =>
    until('it to be ready', async () => {
      const { data } = await server.call('read_action_run_log', { run_id });
      return data.total_lines > 0;
    });

  it('twenty runs keep their records and logs apart', async () => {
    const answers = await Promise.all(
      MANY.map((block, n) =>
        start(n % 2 ? first : second, block, { wait_seconds: 50, reason: `the ${n}th` }),
      ),
    );
    expect(new Set(answers.map(({ data }) => data.run.id)).size).toBe(20);
    for (const [n, block] of MANY.entries()) {
      const { id } = answers[n]!.data.run;
      const { run } = (await first.call('get_action_run', { run_id: id })).data;
      expect(run).toMatchObject({
        block,
        reason: `the ${n}th`,
        exit_code: n % 4,
        status: n % 4 === 0 ? 'success' : 'failed',
        log: { lines: 31, gap: null },
      });
      const numbers = Array.from({ length: 30 }, (_, i) => `${block} ${i + 1}`);
      expect(await wholeLog(first, id)).toEqual({ stdout: numbers, stderr: [`${block} ends`] });
    }
    const { data } = await first.call('search_action_runs', { block: MANY, limit: 100 });
    expect(data.total).toBe(20);
  });

  it('one idempotency key given to two servers launches once', async () => {
    const request = { idempotency_key: 'both', wait_seconds: 20 };
    const answers = await Promise.all([start(first, 'same', request), start(second, 'same', request)]);
    expect(answers.map(({ data }) => data.replayed).sort()).toEqual([false, true]);
    expect(new Set(answers.map(({ data }) => data.run.id)).size).toBe(1);
    for (const { data } of answers) expect(data).toMatchObject({ finished: true, succeeded: true });
    expect(await workspace.written('marks/same')).toBe('ran\n');
    const other = await start(second, 'same', { ...request, reason: 'something else' });
    expect(other.error).toMatchObject({ code: 'key_reused', details: { run_id: answers[0].data.run.id } });
  });

  it('a second run of one block is refused with the first, unless it may be concurrent', async () => {
    const both = await Promise.all([start(first, 'busy'), start(second, 'busy')]);
    const [refused, started] = both[0].isError ? both : [both[1], both[0]];
    const run_id: string = started.data.run.id;
    expect(refused.error).toMatchObject({ code: 'already_active', details: { run_id } });
    expect(refused.error?.message).toContain(run_id);
    const concurrent = await start(second, 'busy', { allow_concurrent: true });
    expect(concurrent.isError).toBe(false);
    const runs = [run_id, concurrent.data.run.id as string];
    await Promise.all(runs.map((id) => ready(first, id)));
    await Promise.all(runs.map((id) => first.call('cancel_action_run', { run_id: id })));
    expect(await workspace.written('marks/busy')).toBe('ran\nran\n');
  });

  it('a run that takes longer than its limit is stopped, and says so', async () => {
    const { data } = await start(first, 'slow', { timeout_seconds: 1, wait_seconds: 30 });
    expect(data).toMatchObject({
      finished: true,
      succeeded: false,
      run: { status: 'failed', exit_code: 143 },
    });
    expect(data.run.status_reason).toBe('stopped: it ran longer than its time limit');
    expect(data.run.duration_ms).toBeGreaterThanOrEqual(1000);
  });

  it('another server than the one that supervises it can cancel a run', async () => {
    const { data } = await start(first, 'remote');
    const run_id: string = data.run.id;
    await ready(second, run_id);
    const cancelled = await second.call('cancel_action_run', { run_id, reason: 'wrong host' });
    expect(cancelled.data).toMatchObject({ finished: true, run: { status: 'cancelled', exit_code: 143 } });
    const { run } = (await first.call('get_action_run', { run_id })).data;
    expect(run).toMatchObject({ cancel_reason: 'wrong host', cancelled_by: run.principal.display });
  });

  it('an action that ignores the polite signal is ended all the same', async () => {
    const { data } = await start(first, 'stubborn');
    const run_id: string = data.run.id;
    await ready(first, run_id);
    const cancelled = await first.call('cancel_action_run', { run_id });
    expect(cancelled.data).toMatchObject({ finished: true, run: { status: 'cancelled', exit_code: 137 } });
    expect(cancelled.data.run.duration_ms).toBeGreaterThanOrEqual(10_000);
  });
});

function manyScript(block: string, n: number): string {
  return `for ((i = 1; i <= 30; i++)); do echo "${block} $i"; sleep 0.01; done; echo "${block} ends" >&2; exit ${n % 4}`;
}
