import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { remoteHistory, remoteRun, type RemoteHistory } from '../support/remote-history.ts';
import { until } from '../support/until.ts';

const RUNS = 240;

/** Everything that was asked of the API, with the clients' ports: each process has its own. */
const details = async (there: RemoteHistory) =>
  (await there.server.requests()).filter(({ path }) => /action-runs\/./.test(path));

describeWithPostgres('several servers with one ledger on PostgreSQL', () => {
  let postgres: PostgresServer;
  let there: RemoteHistory;
  beforeAll(async () => {
    postgres = await usePostgres();
  });
  afterAll(() => postgres.stop());
  afterEach(() => there.end());

  it('mirror an API whose clock is wrong: each run once, by one of them at a time, with who it was', async () => {
    const place = await postgres.place();
    there = await remoteHistory({
      settings: { POLYCRATE_MCP_DATABASE_URL: place.url, POLYCRATE_MCP_MIRROR_BACKFILL: '90d' },
    });
    // An hour ahead, so that its times lie in our future.
    const hour = 3_600_000;
    await there.server.settings({ skew_ms: hour });
    const ahead = (n: number) => new Date(Date.now() + hour - n * 1000).toISOString();
    const run = (n: number, more = {}) => remoteRun({ started_at: ahead(n), finished_at: ahead(n), created_at: ahead(n), ...more });
    await there.server.addRuns(Array.from({ length: RUNS }, (_, n) => run(RUNS - n)));
    const clients = await Promise.all([0, 1, 2].map(() => there.serve({ POLYCRATE_MCP_MIRROR_MAX_AGE: '1s' })));
    const total = async (client = clients[0]!) => (await client.call('search_action_runs')).data.total;
    for (const client of clients) await until(() => total(client), (found) => found === RUNS);
    const read = (await details(there)).map(({ path }) => path);
    expect(new Set(read).size).toBe(RUNS);
    // One at a time: what is read twice is at most what a second one had begun.
    expect(read.length).toBeLessThan(RUNS + 110);

    // A technical key ran it; the activities say for whom.
    const id = randomUUID();
    await there.server.addRuns([run(0, { id, username: null, status: 'running', exit_code: null, finished_at: null })]);
    await there.server.note('block_action_run_start', id, 'dana');
    const found = await until(
      async () => (await clients[1]!.call('search_action_runs', { status: 'running' })).data.runs,
      (runs) => runs.length === 1 && runs[0].user !== null,
    );
    expect(found[0]).toMatchObject({ user: 'dana@example.com', source: 'api' });
    expect((await clients[2]!.call('search_action_runs', { user: 'dana@example.com' })).data.total).toBe(1);

    // Whoever reads is killed in the middle; another goes on, and nothing is there twice.
    await there.server.addRuns(Array.from({ length: RUNS }, () => run(0)));
    process.kill(clients[0]!.pid, 'SIGKILL');
    await there.server.change(id, { status: 'success', exit_code: 0, finished_at: ahead(0) });
    await until(() => total(clients[1]), (all) => all === 2 * RUNS + 1, 60_000);
    await until(async () => (await clients[2]!.call('get_action_run', { run_id: id })).data.run.status, (status) => status === 'success');
    const rows = await postgres.query(`SELECT count(*) AS rows, count(DISTINCT foreign_id) AS runs FROM ${place.schema}.mirrored WHERE current = 1`);
    expect(rows.map(({ rows, runs }) => [Number(rows), Number(runs)])).toEqual([[2 * RUNS + 1, 2 * RUNS + 1]]);
    const { stdout } = await there.operate(['ledger', 'verify', '--json']);
    expect(JSON.parse(stdout).findings).toEqual([]);
  }, 120_000); // prettier-ignore
});
