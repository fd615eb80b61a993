import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERAS, tempFolder } from '../support/mcp.ts';
import { counting } from '../support/numbered-log.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { makeKey, serve, visit, type TeamServer } from '../support/team-server.ts';
import { rows, until } from '../support/traces.ts';

// The same promise as over stdio (e2e/vanished-caller), for callers whose connection ends before the answer.

let home: Awaited<ReturnType<typeof tempFolder>>;
let workspace: ScriptWorkspace;
let server: TeamServer;
let token: string;

const start = (): Promise<TeamServer> => serve({ home: home.path, env: trusted(workspace, 'local') });

beforeAll(async () => {
  home = await tempFolder('vanished');
  const actions = { count: `${MARK}\n${counting()}`, quick: `${MARK}; echo done` };
  workspace = await scriptWorkspace(Object.fromEntries([...ERAS, 'killed'].map((block) => [block, actions])));
  ({ token } = await makeKey({ home: home.path, name: 'Ada', args: ['--role', 'runner'] }));
  server = await start();
}, 120_000);
afterAll(async () => {
  await Promise.all([...ERAS, 'killed'].map((block) => workspace.enough(block)));
  await until('no lease', () => rows(home.path, 'SELECT 1 FROM leases').length === 0);
  await server.end();
  await Promise.all([workspace.remove(), home.remove()]);
});

/** The way to a server, which can be cut: nothing comes through any more, and nobody says so. */
async function wayTo({ url }: TeamServer): Promise<{ url: URL; cut(): void }> {
  const sockets = new Set<Socket>();
  const way = createServer((near) => {
    const far = connect(Number(url.port), url.hostname);
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
    near.pipe(far).pipe(near);
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  return {
    url: new URL(url.pathname, `http://127.0.0.1:${(way.address() as AddressInfo).port}`),
    cut() {
      way.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const callOf = (block: string) => ({ workspace: 'scripts', block, action: 'count', reason: 'release' });
const runsOf = (block: string): any[] => rows(home.path, `SELECT id FROM runs WHERE block = '${block}'`);
const untold = (): any[] => rows(home.path, 'SELECT * FROM untold');
const ran = async (block: string): Promise<number> =>
  (await workspace.written(`marks/${block}`)).split('\n').length - 1;
const firstRun = async (block: string): Promise<string> => {
  await until('the action', () => ran(block));
  return runsOf(block)[0].id as string;
}; // prettier-ignore

describe.each(ERAS)('a caller of the era %s', (era) => {
  it('that is gone before the answer: its next call that is the same is given that run, and only that one', async () => {
    const way = await wayTo(server);
    const gone = await visit({ url: way.url, token, era });
    void gone.call('run_action', { ...callOf(era), wait_seconds: 50 }).catch(() => undefined);
    const run_id = await firstRun(era);
    way.cut();
    await until('word that nobody waits', () => untold()[0]?.teller === '');
    const back = await visit({ url: server.url, token, era });
    const again = await back.call('run_action', { ...callOf(era), wait_seconds: 0 });
    expect(again.data).toMatchObject({ replayed: true, finished: false, run: { id: run_id } });
    expect(again.data.replayed_age_seconds).toBeLessThan(30);
    await until('word that it was told', () => untold().length === 0);
    const third = await back.call('run_action', { ...callOf(era), wait_seconds: 0 });
    expect(third.error).toMatchObject({ code: 'already_active', details: { run_id } });
    await workspace.enough(era);
    const { data } = await back.call('wait_for_action_run', { run_id, wait_seconds: 30 });
    expect(data.finished).toBe(true);
    // Whoever got the answers starts a new run with each of two calls that are the same.
    const quick = { ...callOf(era), action: 'quick', wait_seconds: 20 };
    for (const calls of [2, 3]) {
      expect((await back.call('run_action', quick)).data).toMatchObject({ replayed: false, succeeded: true });
      expect(runsOf(era)).toHaveLength(calls);
    }
    await Promise.all([back.close(), gone.close().catch(() => undefined)]);
  });
});

it('of a server that was killed, the next one gives the run to the next call that is the same', async () => {
  const client = await visit({ url: server.url, token });
  void client.call('run_action', { ...callOf('killed'), wait_seconds: 50 }).catch(() => undefined);
  const run_id = await firstRun('killed');
  await server.kill();
  server = await start();
  const back = await visit({ url: server.url, token });
  const again = await back.call('run_action', { ...callOf('killed'), wait_seconds: 0 });
  expect(again.data).toMatchObject({ replayed: true, run: { id: run_id } });
  expect(runsOf('killed')).toHaveLength(1);
  expect(await ran('killed')).toBe(1);
  await Promise.all([back.close(), client.close().catch(() => undefined)]);
});
