import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../support/until.ts';
import { remoteHistory, remoteRun, type RemoteHistory } from '../support/remote-history.ts';
import type { Connection } from '../support/mcp.ts';

let there: RemoteHistory;
const all = async (client: Connection, more: Record<string, unknown> = {}): Promise<any> =>
  (await client.call('search_action_runs', more)).data;
const many = (count: number, more: Record<string, unknown> = {}): Record<string, unknown>[] =>
  Array.from({ length: count }, () => remoteRun(more));
const sync = async (...more: [Record<string, string>?]) => {
  const { stdout } = await there.operate(['mirror', 'sync', '--json'], ...more);
  return JSON.parse(stdout)[0];
};

afterEach(() => there.end());

describe.each([false, true])('runs that others reported to the API (TLS: %s)', (tls) => {
  beforeEach(async () => (there = await remoteHistory({ tls })));

  it('are found with version, person, host and environment, and their source is told', async () => {
    await there.server.addRuns([
      ...many(2),
      remoteRun({
        status: 'failed',
        exit_code: 4,
        metadata: JSON.stringify({ hostname: 'laptop-9', cli_version: '0.40.1', commit_sha: 'c0ffee' }),
        block_version: '2.2.0',
        username: 'kim',
      }),
    ]);
    const client = await there.serve();
    const found = await all(client, { block_version: '2.2.0' });
    expect(found.runs).toEqual([
      expect.objectContaining({
        workspace: 'elsewhere',
        block: 'web',
        action: 'deploy',
        status: 'failed',
        exit_code: 4,
        user: 'kim',
        host: 'laptop-9',
        source: 'api',
      }),
    ]);
    expect(found.coverage).toContainEqual(
      expect.objectContaining({
        source: 'api',
        endpoint: 'default',
        runs: 3,
        as_of: expect.any(String),
        missing: null,
      }),
    );
    const { run } = (await client.call('get_action_run', { run_id: found.runs[0].id })).data;
    expect(run).toMatchObject({
      cli_version: '0.40.1',
      workspace_commit: 'c0ffee',
      principal: { kind: 'api', subject: 'kim@example.com', display: 'kim' },
      api: { endpoint: 'default', action_run_id: expect.any(String), url: expect.any(String) },
      trigger: 'cli',
    });
    expect((await all(client, { user: 'kim' })).total).toBe(1);
    expect((await client.call('get_status')).data.sources).toContainEqual(
      expect.objectContaining({ source: 'api', endpoint: 'default', runs: 3 }),
    );
  });

  it('arrive while the server lives, and open ones are read again until they have ended', async () => {
    await there.server.addRuns([
      ...many(3),
      remoteRun({ status: 'running', exit_code: null, finished_at: null }),
    ]);
    const client = await there.serve();
    const open = (await all(client, { status: 'running' })).runs;
    expect(open).toHaveLength(1);
    const [{ api }] = [(await client.call('get_action_run', { run_id: open[0].id })).data.run];
    await there.server.addRuns(many(130));
    await there.server.change(api.action_run_id, {
      status: 'success',
      exit_code: 0,
      finished_at: new Date().toISOString(),
    });
    const found = await until(
      () => all(client),
      ({ total }) => total === 134,
    );
    expect(found.coverage).toContainEqual(expect.objectContaining({ source: 'api', runs: 134 }));
    await until(
      () => all(client, { status: 'running' }),
      ({ total }) => total === 0,
    );
    expect((await client.call('get_action_run', { run_id: open[0].id })).data.run).toMatchObject({
      status: 'success',
      exit_code: 0,
    });
  });
});

describe('a backfill', () => {
  beforeEach(async () => (there = await remoteHistory()));

  it('goes as far as it is told to, says where it ends, and goes on when it is told more', async () => {
    await there.server.addRuns(many(350));
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: '150' })).toMatchObject({ added: 200, problem: null });
    const status = await there.operate(['mirror', 'status', '--json']);
    expect(JSON.parse(status.stdout)).toEqual([
      expect.objectContaining({
        runs: 200,
        missing: expect.stringMatching(/^runs before .* are not mirrored: the backfill ends after 150 runs/),
      }),
    ]);
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' })).toMatchObject({ added: 150 });
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' })).toMatchObject({ added: 0, changed: 0 });
  });

  it('by age ends at that age', async () => {
    const old = new Date(Date.now() - 10 * 86_400_000).toISOString();
    await there.server.addRuns([
      ...many(120, { created_at: old, started_at: old, finished_at: old }),
      ...many(30),
    ]);
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: '7d' })).toMatchObject({ added: 30 });
  });

  it('that is interrupted goes on where it was, although the list has grown and shrunk', async () => {
    await there.server.addRuns(many(520));
    await there.server.faults([
      {
        kind: 'status',
        status: 401,
        times: 1000,
        match: { path: '^/api/v1/action-runs/$', query: 'page=3' },
      },
    ]);
    const first = await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' });
    expect(first).toMatchObject({ added: 200, problem: expect.stringContaining('401') });
    await there.server.faults([]);
    await there.server.addRuns(many(150));
    const rows = await there.server.runs();
    // Of those that are here, and of those that are not.
    for (const row of [...rows.slice(350, 480), ...rows.slice(100, 110)]) await there.server.remove(row.id);
    await there.server.requests();
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' })).toMatchObject({
      added: 150 + 310,
      problem: null,
    });
    const details = (await there.server.requests()).filter(({ path }) => /action-runs\/./.test(path));
    expect(details.length).toBeLessThan(150 + 310 + 150);
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' })).toMatchObject({ added: 0 });
  });

  it('loses nothing and stores nothing twice while runs come and go under it, and pages come twice', async () => {
    await there.server.addRuns(many(900));
    const wanted = new Set((await there.server.runs()).map(({ id }) => id));
    await there.server.faults(
      [{ kind: 'duplicate_page', probability: 0.3, match: { path: '^/api/v1/action-runs/$' } }],
      7,
    );
    await there.server.settings({ churn: { every: 40, add: 30, remove: 25 } });
    const result = await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' });
    expect(result.problem).toBeNull();
    await there.server.settings({ churn: null });
    await there.server.faults([]);
    await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' });
    const left = (await there.server.runs()).map(({ id }) => id);
    const client = await there.serve();
    const seen = new Map<string, number>();
    for (let cursor: string | undefined; ;) {
      const { runs, next_cursor } = await all(client, { limit: 100, ...(cursor && { cursor }) });
      for (const { id } of runs) seen.set(id, (seen.get(id) ?? 0) + 1);
      if (!next_cursor) break;
      cursor = next_cursor;
    }
    expect(Math.max(...seen.values())).toBe(1);
    for (const id of left) expect((await client.call('get_action_run', { run_id: id })).isError).toBe(false);
    expect(wanted.size).toBe(900);
  });

  it('tells of runs that are gone, however far down, and of runs that come back', async () => {
    await there.server.addRuns(many(430));
    expect(await sync({ POLYCRATE_MCP_MIRROR_BACKFILL: 'all' })).toMatchObject({ added: 430 });
    const rows = await there.server.runs();
    const [first, middle, archived, ...others] = [0, 200, 201, 50, 51, 320].map((n) => rows[n].id);
    for (const id of [first, middle, ...others]) await there.server.remove(id);
    await there.server.archive(archived, true);
    const look = ['mirror', 'sync', '--gone', '--json'];
    const changed = async () =>
      JSON.parse((await there.operate(look, { POLYCRATE_MCP_MIRROR_BACKFILL: 'all' })).stdout)[0];
    expect(await changed()).toMatchObject({ added: 0, changed: 6, problem: null });
    const client = await there.serve();
    const how = async (run_id: string) =>
      (await client.call('get_action_run', { run_id })).data.run.api.gone?.how;
    for (const id of [first, middle, ...others]) expect(await how(id)).toBe('deleted');
    expect(await how(archived)).toBe('archived');
    expect((await all(client)).total).toBe(430);
    await there.server.archive(archived, false);
    await there.server.requests();
    expect(await changed()).toMatchObject({ changed: 1 });
    expect(await how(archived)).toBeUndefined();
    // Pages, and what is suspicious on them: nobody is asked for each run.
    expect((await there.server.requests()).length).toBeLessThan(25);
  });
});
