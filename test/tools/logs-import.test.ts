import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { bytesBelow, tracesOf } from '../support/canaries.ts';
import { connect, MAIN, tempFolder, type Connection } from '../support/mcp.ts';
import { scriptWorkspace, type ScriptWorkspace } from '../support/script-workspace.ts';
import { until } from '../support/traces.ts';
import { verifyLedger as verifyAgain } from '../support/second-verifier.mjs';

// What the CLI leaves behind, as polycrate-cli facts 5.2 describe it.

const CANARIES = { password: 'kQ7-Vx91mZ-pTwL44-sNap', token: 'hX3_Bv82-rRqY67-eNvTok' };

interface Event {
  layout?: 'nested' | 'flat';
  date: string;
  exit_code?: number | string;
  user_name?: string;
  user_email?: string;
  output?: string;
  action?: string | null;
}

async function writeEvent(
  { path }: ScriptWorkspace,
  { layout = 'nested', ...event }: Event,
): Promise<string> {
  const id = randomUUID();
  const day = event.date.slice(0, 10);
  const file = join(path, '.logs', layout === 'nested' ? day.replaceAll('-', '/') : day, `${id}.yml`);
  await mkdir(dirname(file), { recursive: true });
  const { action = 'restart', ...rest } = event;
  await writeFile(file, stringify({
    labels: { 'monk.event.class': 'polycrate', 'monk.event.level': 'Info' },
    workspace: 'scripts',
    ...(action && { block: 'db', action }),
    command: `polycrate run db restart --env=DB_TOKEN=${CANARIES.token}`,
    user_email: 'bea@example.org', user_name: 'Bea', transaction: id, version: '0.23.3', commit_sha: 'c0ffee',
    snapshot: {
      workspace: { name: 'scripts', config: { globals: { db_password: CANARIES.password } } },
      block: { name: 'db', version: '1.4.3', from: 'cargo.ayedo.cloud/acme/db:1.4.3' },
      env: { DB_TOKEN: CANARIES.token },
    },
    ...rest,
  })); // prettier-ignore
  return id;
}

/** A question waits for news for two seconds at the most; a slow machine takes longer, and the answer says so. */
const imported = (server: Connection, runs: number) =>
  until('the import', async () => {
    const { data } = await server.call('search_action_runs');
    return data.total === runs && !JSON.stringify(data.coverage).includes('import going on');
  });

describe('runs that the CLI logged', () => {
  let workspace: ScriptWorkspace;
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let connection: Connection;
  let ids: string[];
  const env = () => ({ POLYCRATE_MCP_WORKSPACES: workspace.root, POLYCRATE_MCP_RUN_MODE: 'read-only' });

  beforeAll(async () => {
    [workspace, home] = await Promise.all([scriptWorkspace({ db: { restart: 'true' } }), tempFolder('logs')]);
    const output = `restarting with ${CANARIES.password}\r\nTOKEN ${CANARIES.token}\r\ndone\r\n`;
    ids = [
      await writeEvent(workspace, { date: '2025-05-23T18:30:00+02:00', output }),
      await writeEvent(workspace, {
        layout: 'flat',
        date: '2025-06-01T08:00:00Z',
        exit_code: 1,
        user_name: 'Carl',
        user_email: 'carl@example.org',
      }),
      await writeEvent(workspace, { date: '2025-06-02T08:00:00Z', action: null }),
    ];
    await mkdir(join(workspace.path, '.logs/2025-06-03'), { recursive: true });
    await writeFile(
      join(workspace.path, '.logs/2025-06-03/broken.yml'),
      `transaction: "x\n  secret: ${CANARIES.password}`,
    );
    await writeFile(
      join(workspace.path, '.logs/2025-06-03/strange.yml'),
      'transaction: y\ndate: never\nblock: b\naction: a',
    );
    connection = await connect({ home: home.path, env: env() });
  });
  afterAll(async () => {
    await connection.close();
    await Promise.all([workspace.remove(), home.remove()]);
  });

  it('are found by user, with what is known of them and what is not', async () => {
    await imported(connection, 2);
    const { data } = await connection.call('search_action_runs', { order: 'oldest' });
    expect(data.total).toBe(2);
    expect(data.runs[0]).toMatchObject({
      workspace: 'scripts',
      block: 'db',
      block_version: '1.4.3',
      action: 'restart',
      status: 'success',
      exit_code: 0,
      user: 'Bea',
      started_at: '2025-05-23T16:30:00.000Z',
      source: 'logs',
    });
    expect(data.coverage).toContainEqual(
      expect.objectContaining({
        source: 'logs',
        endpoint: 'tests/scripts',
        runs: 2,
        oldest: '2025-05-23T16:30:00.000Z',
        newest: '2025-06-01T08:00:00.000Z',
        missing: expect.stringMatching(
          /^2 files could not be read: .*broken\.yml.*strange\.yml: date: is not a time/,
        ),
      }),
    );
    const carl = await connection.call('search_action_runs', { user: 'CARL@example.org', source: 'logs' });
    expect(carl.data.runs).toEqual([
      expect.objectContaining({ user: 'Carl', status: 'failed', exit_code: 1 }),
    ]);
    const status = await connection.call('get_status');
    expect(status.data.sources).toContainEqual(expect.objectContaining({ source: 'logs', runs: 2 }));
  });

  it('are shown whole by their transaction, with their output', async () => {
    const { data } = await connection.call('get_action_run', { run_id: ids[0]! });
    expect(data.run).toMatchObject({
      trigger: 'cli',
      source: 'logs',
      cli_version: '0.23.3',
      workspace_commit: 'c0ffee',
      block_from: 'cargo.ayedo.cloud/acme/db:1.4.3',
      principal: { subject: 'bea@example.org', display: 'Bea' },
      log: { lines: 3 },
      finished_at: null,
    });
    expect(data.proof).toMatchObject({
      source: 'logs',
      evidence: { authenticated: [], claimed: expect.arrayContaining(['principal']) },
      events: [expect.any(Number)],
    });
    const log = await connection.call('read_action_run_log', { run_id: ids[0]! });
    expect(log.data.lines.map(({ text }: { text: string }) => text)).toEqual([
      expect.stringMatching(/^restarting with (?!kQ7)/),
      expect.stringMatching(/^TOKEN (?!hX3)/),
      'done',
    ]);
    const without = await connection.call('read_action_run_log', { run_id: ids[1]! });
    expect(without.data).toMatchObject({ lines: [], next: expect.stringContaining('came without output') });
  });

  it('hold no secret of snapshot, command or output, anywhere', async () => {
    const answers = JSON.stringify(await Promise.all([
      connection.call('search_action_runs'), connection.call('get_status'), connection.call('read_action_run_log', { run_id: ids[0]! }),
      ...ids.slice(0, 2).map((run_id) => connection.call('get_action_run', { run_id })),
    ])); // prettier-ignore
    const stored = [...(await bytesBelow(home.path)).values()];
    for (const canary of Object.values(CANARIES)) {
      for (const text of [answers, ...stored]) expect(tracesOf(canary, text)).toEqual([]);
    }
  });

  it('are imported again only where something changed, by a command at once, and verify', async () => {
    const late = await writeEvent(workspace, { date: '2025-06-01T09:00:00Z', layout: 'flat' });
    const run = promisify(execFile);
    const options = { env: { ...process.env, POLYCRATE_MCP_HOME: home.path, ...env() } };
    const failed = await run(process.execPath, [MAIN, 'history', 'import'], options).catch(
      (error: { code: number; stdout: string }) => error,
    );
    // Two files are broken, hence the exit code; only the folder that changed was read.
    expect(failed).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/tests\/scripts: 2 files read, 1 new run, 0 changed\n(.*\n){2}/),
    });
    const { data } = await connection.call('search_action_runs');
    expect(data.total).toBe(3);
    expect((await connection.call('get_action_run', { run_id: late })).isError).toBe(false);
    // In order; without an outside anchor no more can be proved.
    const verified = await run(process.execPath, [MAIN, 'ledger', 'verify'], options).catch(
      (error: unknown) => error,
    );
    expect(verified).toMatchObject({ code: 4 });
    expect(verifyAgain(join(home.path, 'ledger.db'))).toEqual([]);
  });

  it('are never a success where their exit code cannot be read', async () => {
    const [place, own] = await Promise.all([scriptWorkspace({ db: { restart: 'true' } }), tempFolder('exit')]);
    const date = '2025-07-01T08:00:00Z';
    const odd = [await writeEvent(place, { date, exit_code: 'none' }), await writeEvent(place, { date, exit_code: 1.5 })];
    const text = await writeEvent(place, { date, exit_code: '2' });
    const server = await connect({ home: own.path, env: { ...env(), POLYCRATE_MCP_WORKSPACES: place.root } });
    await imported(server, 1);
    const { data } = await server.call('search_action_runs');
    expect(data.runs).toEqual([expect.objectContaining({ status: 'failed', exit_code: 2 })]);
    const { missing } = data.coverage.find(({ source }: { source: string }) => source === 'logs');
    for (const id of odd) expect(missing).toContain(`${id}.yml: exit_code: is not a whole number`);
    expect((await server.call('get_action_run', { run_id: text })).isError).toBe(false);
    await server.close();
    await Promise.all([place.remove(), own.remove()]);
  }); // prettier-ignore

  it('are not looked at where a setting says so', async () => {
    const other = await tempFolder('logs-off');
    const off = await connect({ home: other.path, env: { ...env(), POLYCRATE_MCP_LOGS_IMPORT: 'off' } });
    expect((await off.call('search_action_runs')).data).toMatchObject({ total: 0 });
    await off.close();
    await other.remove();
  });
});
