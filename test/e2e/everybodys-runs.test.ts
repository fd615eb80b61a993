import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { commitAll, committed } from '../support/git.ts';
import { remoteHistory, remoteRun, type RemoteHistory } from '../support/remote-history.ts';
import { until } from '../support/until.ts';

const FRIDAY = '2026-11-20';

let there: RemoteHistory;
afterEach(() => there.end());

/** What the CLI leaves behind of one run. */
async function logged(event: { date: string; user: string }): Promise<string> {
  const id = randomUUID();
  const folder = join(there.workspace.path, '.logs', event.date.slice(0, 10).replaceAll('-', '/'));
  await mkdir(folder, { recursive: true });
  const { date, user } = event;
  const content = { transaction: id, date, user_name: user, user_email: `${user}@example.org`, workspace: 'scripts', block: 'db', action: 'restart', exit_code: 0 };
  await writeFile(join(folder, `${id}.yml`), JSON.stringify(content));
  return id;
} // prettier-ignore

describe.each([false, true])('everybody in one history (TLS: %s)', (tls) => {
  it('"Who restarted the production database on Friday evening?" from three sources, each run once', async () => {
    there = await remoteHistory({ tls, settings: { POLYCRATE_MCP_TIMEZONE: 'UTC', POLYCRATE_MCP_MIRROR_BACKFILL: 'all' } });
    const place = { workspace: 'scripts', block: 'db', action: 'restart', block_version: '1.0.0' };
    const known = await logged({ date: `${FRIDAY}T19:10:00Z`, user: 'bea' });
    await logged({ date: `${FRIDAY}T20:00:00Z`, user: 'carl' });
    const time = (clock: string) => ({ started_at: `${FRIDAY}T${clock}Z`, finished_at: `${FRIDAY}T${clock}Z`, created_at: `${FRIDAY}T${clock}Z` });
    await there.server.addRuns([
      // The same run as one of the logs, by the CLI's transaction.
      remoteRun({ ...place, ...time('19:10:00'), username: 'bea', metadata: JSON.stringify({ transaction: known }) }),
      // Alike, but without an id in common.
      remoteRun({ ...place, ...time('20:00:02'), username: 'carl' }),
      remoteRun({ ...place, ...time('21:30:00'), username: 'dora', status: 'failed', exit_code: 2, log_stdout: 'password is hunter\n', log_stderr: 'no disk' }),
    ]);
    const client = await there.serve({ POLYCRATE_MCP_ENVIRONMENTS: await environments() });
    const own = (await client.call('run_action', { ...place, block_version: undefined, wait_seconds: 20 })).data.run;
    const ask = () => client.call('search_action_runs', { block: 'db', action: 'restart', environment: 'production', during: FRIDAY, order: 'oldest' });
    const { data } = await until(ask, (answer) => answer.data?.total === 4);
    expect(data.runs.map(({ user, source }: any) => [user, source])).toEqual([
      ['bea', 'api'], ['carl', 'logs'], ['carl', 'api'], ['dora', 'api'],
    ]);
    expect(data.coverage).toContainEqual({ possible_duplicates: 1 });
    const { run } = (await client.call('get_action_run', { run_id: known })).data;
    expect(run.aliases.map(({ source }: any) => source).sort()).toEqual(expect.arrayContaining(['api', 'logs']));
    expect((await client.call('search_action_runs', { source: 'ledger' })).data.runs).toEqual([expect.objectContaining({ id: own.id })]);

    const dora = data.runs[3].id;
    const log = await client.call('read_action_run_log', { run_id: dora });
    expect(log.data.lines.map(({ stream, text }: any) => [stream, text])).toEqual([['stdout', 'password is hunter'], ['stderr', 'no disk']]);

    await there.server.crash();
    const gap = await until(ask, (answer) => JSON.stringify(answer.data.coverage).includes('cannot be reached'));
    expect(gap.data.total).toBe(4);
    expect(gap.data.coverage).toContainEqual(expect.objectContaining({ source: 'api', as_of: expect.any(String), problem: expect.stringMatching(/cannot be reached.*\(since /) }));
    // Fetched once, it is here to stay.
    expect((await client.call('read_action_run_log', { run_id: dora })).data.total_lines).toBe(2);
    await there.server.start();
  }); // prettier-ignore
});

async function environments(): Promise<string> {
  const file = join(there.home, 'environments.yml');
  await writeFile(file, 'tests/scripts: production\n');
  return file;
}

describe('what only the API has', () => {
  it('is listed as such, its runs can be repeated here only if their workspace is here', async () => {
    there = await remoteHistory();
    await there.server.addRuns([
      remoteRun(),
      remoteRun({ workspace: 'scripts', block: 'db', action: 'restart', block_version: '0.9.0' }),
      remoteRun({ workspace: 'scripts', block: 'db', action: 'restart', status: 'running', exit_code: null, finished_at: null }),
    ]);
    const client = await there.serve();
    const found = await until(() => client.call('search_action_runs', { order: 'oldest' }), ({ data }) => data.total === 3);
    const [elsewhere, here, open] = found.data.runs.map(({ id }: any) => id);
    const { workspaces } = (await client.call('list_workspaces')).data;
    expect(workspaces).toEqual([
      expect.objectContaining({ name: 'scripts', source: 'local' }),
      expect.objectContaining({ name: 'elsewhere', organization: 'tests', source: 'api', endpoint: 'default', path: null }),
    ]);
    const blocks = await until(() => client.call('list_blocks', { workspace: 'elsewhere' }), ({ isError }) => !isError);
    expect(blocks.data.blocks).toEqual([expect.objectContaining({ name: 'web', source: 'api', workspace: 'elsewhere' })]);

    const refused = await client.call('retrigger_action_run', { run_id: elsewhere, mode: 'current' });
    expect(refused.error).toMatchObject({ code: 'unknown_name', message: expect.stringContaining('tests/elsewhere, which is not on this host') });
    const pinned = await client.call('retrigger_action_run', { run_id: here });
    expect(pinned.error).toMatchObject({ code: 'plan_changed', details: { drift: expect.arrayContaining([expect.objectContaining({ what: 'block_version', recorded: '0.9.0', now: '1.0.0' })]) } });
    const again = await client.call('retrigger_action_run', { run_id: here, mode: 'current', wait_seconds: 20 });
    expect(again.data).toMatchObject({ succeeded: true, run: { source: 'ledger', retrigger_of: here } });
    const cancelled = await client.call('cancel_action_run', { run_id: open });
    expect(cancelled.error).toMatchObject({ code: 'refused', next: expect.stringContaining('stops no process') });
    await until(() => there.server.runs(), (rows) => rows.some(({ metadata }) => metadata?.includes(again.data.run.id)));
    // Our own report comes back, and is no second run.
    const later = await until(() => client.call('search_action_runs'), ({ data }) => data.coverage.some(({ source, runs }: any) => source === 'api' && runs === 4));
    expect(later.data.total).toBe(4);
    const { ledger } = (await client.call('get_status')).data;
    expect(ledger.outside_anchor).toMatchObject({ place: 'the Polycrate API default', up_to_event: expect.any(Number) });
  }); // prettier-ignore

  it('is repeated here as it was, by its recorded version and configuration, if need be from its commit', async () => {
    there = await remoteHistory();
    const { path } = there.workspace;
    const commit = committed(path);
    const file = join(path, 'blocks', 'db', 'block.poly');
    const definition = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...definition, version: '1.1.0', config: { size: 2 } }));
    commitAll(path);
    const here = { workspace: 'scripts', block: 'db', action: 'restart' };
    await there.server.addRuns([
      remoteRun({ ...here, block_version: '1.1.0', block_config: '{"size":2}' }),
      remoteRun({ ...here, block_version: '1.1.0', block_config: '{"size":3,"password":"SECRET-OF-OTHERS"}' }),
      remoteRun({ ...here, block_version: '1.0.0', block_config: '{}', metadata: JSON.stringify({ commit_sha: commit }) }),
    ]);
    const client = await there.serve();
    const found = await until(() => client.call('search_action_runs', { order: 'oldest' }), ({ data }) => data.total === 3);
    const [same, other, before] = found.data.runs.map(({ id }: any) => id);
    const again = (run_id: string) => client.call('retrigger_action_run', { run_id, wait_seconds: 20 });
    const { plan } = (await client.call('plan_action', { retrigger_of: same })).data;
    expect(plan.warnings).toContainEqual(expect.stringContaining('not compared: the files of the block, the inventory, the image'));
    const repeated = (await again(same)).data;
    expect(repeated).toMatchObject({ succeeded: true, drift: [], run: { retrigger_of: same, block_version: '1.1.0' } });
    expect((await again(other)).error).toMatchObject({ code: 'plan_changed', details: { drift: [{ what: 'config', keys: ['password', 'size'] }] } });
    expect((await again(before)).data).toMatchObject({ succeeded: true, run: { block_version: '1.0.0' } });
    await until(() => there.server.runs(), (rows) => rows.some(({ metadata }) => metadata?.includes(repeated.run.id)));
    const record = JSON.stringify((await client.call('get_action_run', { run_id: other })).data);
    expect(record).toContain('config_keys');
    expect(record).not.toContain('SECRET-OF-OTHERS');
  }); // prettier-ignore

  it('a record that was deleted there stays, and is told to be gone', async () => {
    there = await remoteHistory();
    await there.server.addRuns(Array.from({ length: 5 }, () => remoteRun()));
    const client = await there.serve();
    await until(() => client.call('search_action_runs'), ({ data }) => data.total === 5);
    const [, second] = await there.server.runs();
    await there.server.remove(second.id);
    const gone = await until(
      async () => {
        await client.call('search_action_runs');
        return (await client.call('get_action_run', { run_id: second.id })).data.run;
      },
      ({ api }) => api.gone !== undefined,
    );
    expect(gone).toMatchObject({ status: 'success', block_version: '2.1.0', api: { gone: { how: 'deleted' } } });
    expect((await client.call('search_action_runs')).data.total).toBe(5);
  }); // prettier-ignore
});
