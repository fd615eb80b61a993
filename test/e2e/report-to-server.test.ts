import { afterAll, beforeAll, expect, it } from 'vitest';
import { runLedger } from '../support/ledger-command.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { command, makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { until } from '../support/until.ts';

// One server of ours reports to another, which has a PostgreSQL ledger, as it would to a Polycrate API; and reads there.

const GATED = 'until [ -e "$POLYCRATE_WORKSPACE/enough/slow" ]; do sleep 0.05; done; echo went on';

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let postgres: PostgresServer;
let database: Place;
let workspace: ScriptWorkspace;
let team: TeamServer;
let reporter: Connection;
let admin: Visitor;
let settings: Record<string, string>;

describeWithPostgres('a server that reports to another', () => {
  beforeAll(async () => {
  postgres = await usePostgres();
  [folders, database, workspace] = await Promise.all([
    Promise.all(['team', 'reporter', 'none'].map((name) => tempFolder(name))),
    postgres.place(),
    scriptWorkspace({ db: { restart: 'echo restarted; echo careful >&2', fail: 'exit 3' }, slow: { gated: GATED } }),
  ]);
  const env = { POLYCRATE_MCP_WORKSPACES: folders[2]!.path, POLYCRATE_MCP_DATABASE_URL: database.url, POLYCRATE_MCP_RATE_LIMIT: 'none', POLYCRATE_MCP_LOG_LEVEL: 'error' };
  const home = folders[0]!.path;
  team = await serve({ home, env });
  const key = async (name: string, ...args: string[]): Promise<string> => (await makeKey({ home, env, name, args })).token;
  admin = await visit({ url: team.url, token: await key('auditor', '--role', 'admin') });
  settings = {
    ...trusted(workspace, 'local'),
    HOME: folders[1]!.path,
    POLYCRATE_API_ENABLED: 'true',
    POLYCRATE_API_URL: team.url.origin,
    POLYCRATE_API_API_KEY: await key('laptop', '--role', 'runner', '--for', 'tests'),
  };
  reporter = await connect({ home: folders[1]!.path, env: settings });
}); // prettier-ignore
  afterAll(async () => {
    await reporter.close();
    await admin.close();
    expect(await team.end()).toBe(0);
    await Promise.all([...folders.map((folder) => folder.remove()), database.remove(), workspace.remove()]);
    await postgres.stop();
  });

  const run = async (action: string, more: object = {}): Promise<any> => {
  const [block, name] = action.split('/');
  return (await reporter.call('run_action', { workspace: 'scripts', block, action: name, wait_seconds: 20, ...more })).data.run;
}; // prettier-ignore
  const record = async ({ call }: Pick<Visitor, 'call'>, run_id: string): Promise<any> =>
    (await call('get_action_run', { run_id })).data?.run;
  const delivered = (id: string): Promise<any> =>
  until(() => record(reporter, id), (seen) => seen.api?.submission === 'delivered', 60_000); // prettier-ignore

  it('has each run once, under both ids, with who reported it and who says to have run it', async () => {
  const slow = await run('slow/gated', { wait_seconds: 0, reason: 'a reason' });
  const open = await until(() => record(admin, slow.id), (seen) => seen !== undefined, 60_000); // prettier-ignore
  expect(open).toMatchObject({ status: 'running', source: 'ingest', block: 'slow' });
  await workspace.enough('slow');
  const failed = await run('db/fail');
  const short = await run('db/restart');
  const [own] = await Promise.all([slow.id, failed.id, short.id].map(delivered));
  const there = await record(admin, slow.id);
  expect(there).toMatchObject({
    id: own.api.action_run_id, status: 'success', exit_code: 0, reason: 'a reason', trigger: 'mcp', client: { name: 'test-client' }, hostname: own.hostname,
    principal: { kind: 'key', display: 'laptop' }, claimed_principal: { kind: 'os', display: own.principal.display }, executor: { kind: 'local' }, plan_digest: own.plan_digest,
  });
  expect(there.evidence.authenticated).toEqual(['principal']);
  expect(there.evidence.claimed).toContain('claimed_principal');
  expect(there.evidence.checkpoint).toMatchObject({ signature: expect.any(String) });
  expect(there.started_at).toBe(own.started_at);
  const { data } = await admin.call('search_action_runs', { user: own.principal.display, order: 'oldest' });
  expect(data.runs.map(({ status, exit_code }: any) => [status, exit_code])).toEqual([['success', 0], ['failed', 3], ['success', 0]]);
  const log = (await admin.call('read_action_run_log', { run_id: short.id })).data.lines;
  expect(log.map(({ stream, text }: any) => `${stream} ${text}`)).toEqual(['stdout restarted', 'stderr careful']);
}); // prettier-ignore

  it('is where the reporter finds its own runs again, as its anchor and without a second record', async () => {
    const [synced] = JSON.parse(
      await command({ home: folders[1]!.path, env: settings, args: ['mirror', 'sync', '--json'] }),
    ) as any[];
    expect(synced).toMatchObject({ endpoint: 'default', added: 0, problem: null });
    expect((await reporter.call('search_action_runs')).data).toMatchObject({ total: 3, returned: 3 });
    // Reports carry the newest checkpoint of their ledger, and here one came back from outside of it.
    const { data: status } = await reporter.call('get_status');
    expect(JSON.stringify(status.ledger)).toContain('the Polycrate API default');
  });

  it('is verified', () => {
    const verified = runLedger(folders[0]!.path, ['verify'], { POLYCRATE_MCP_DATABASE_URL: database.url });
    expect(verified.stdout).toContain('fits together');
  });
});
