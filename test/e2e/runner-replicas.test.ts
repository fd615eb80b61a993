import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { deskOn } from '../support/desk.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import {
  command,
  makeKey,
  serve,
  startRunner,
  visit,
  type Runner,
  type TeamServer,
  type Visitor,
} from '../support/team-server.ts';
import { until } from '../support/until.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Two servers that execute nothing, one database and folder of logs, and a runner that is connected to the one that is not asked.

const WAIT = 'while [ ! -e "$POLYCRATE_WORKSPACE/enough" ]; do sleep 0.05; done';

describeWithPostgres('runners of two servers on PostgreSQL', () => {
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let postgres: PostgresServer;
  let database: Place;
  let servers: TeamServer[];
  let runner: Runner;
  let path: string;
  let token: string;
  let env: Record<string, string>;
  let asked: string[];
  let answer: 'yes' | 'no';
  const visitors: Record<'ada' | 'eve' | 'old', Visitor> = {} as never;
  const at = (n: number): string => folders[n]!.path;
  const marks = (): string[] => {
    const file = join(path, 'marks');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };

  beforeAll(async () => {
    postgres = await usePostgres();
    [database, folders] = await Promise.all([
      postgres.place(),
      Promise.all(['home', 'runner', 'root'].map((name) => tempFolder(name))),
    ]);
    const mark = (word: string): string => `echo ${word} >> "$POLYCRATE_WORKSPACE/marks"`;
    path = await writeWorkspace(at(2), {
      name: 'shop',
      organization: 'acme',
      rest: {
        workflows: [
          { name: 'release', steps: [{ name: 'first', block: 'web', action: 'first' }, { name: 'second', block: 'web', action: 'second' }] },
          { name: 'slow', steps: [{ name: 'hold', block: 'web', action: 'hold' }, { name: 'last', block: 'web', action: 'last' }] },
        ],
      },
      blocks: {
        web: { version: '2.0.0', actions: [script('hello', mark('hello'), 'echo hello'), script('first', mark('first')), script('second', mark('second')), script('wait', mark('wait'), WAIT, 'echo over'), script('hold', mark('hold'), WAIT.replace('enough', 'go-on')), script('last', mark('last'))] },
      },
    });
    const settings = { POLYCRATE_MCP_DATABASE_URL: database.url, POLYCRATE_MCP_LOG_LEVEL: 'error', POLYCRATE_MCP_RUN_MODE: 'ask' };
    writeFileSync(join(at(0), 'state-key'), 'x'.repeat(32));
    env = { ...settings, POLYCRATE_MCP_STATE_KEY_FILE: join(at(0), 'state-key') };
    const key = async (name: string, ...args: string[]): Promise<string> => (await makeKey({ home: at(0), env, name, args })).token;
    const [ada, eve] = [await key('Ada', '--role', 'runner'), await key('Eve', '--role', 'runner', '--for', 'globex')];
    token = await key('machine', '--role', 'machine', '--for', 'acme');
    servers = await Promise.all([0, 1].map(() => serve({ home: at(0), env, withRunner: false })));
    [asked, answer] = [[], 'yes'];
    const onAsk: Parameters<typeof visit>[0]['onAsk'] = ({ message }) => {
      asked.push(message);
      return { action: 'accept', content: { approve: answer === 'yes' } };
    };
    visitors.ada = await visit({ url: servers[0]!.url, token: ada, onAsk });
    visitors.eve = await visit({ url: servers[0]!.url, token: eve, onAsk });
    visitors.old = await visit({ url: servers[1]!.url, token: ada, era: 'v1', onAsk });
    runner = await start();
  }, 120_000); // prettier-ignore
  afterAll(async () => {
    await Promise.all(Object.values(visitors).map((visitor) => visitor.close()));
    await runner?.end();
    await Promise.all(servers.map((server) => server.end()));
    await database.remove();
    await Promise.all([postgres.stop(), ...folders.map((folder) => folder.remove())]);
  });

  const start = (): Promise<Runner> =>
    startRunner({ home: at(1), env: localSettings(at(2)), server: servers[1]!, token, name: 'rack' });
  const ask = async (who: keyof typeof visitors, tool: string, args: object): Promise<any> => {
    const { data, error } = await visitors[who].call(tool, { ...args });
    expect(error).toBeNull();
    return data;
  };
  const web = (action: string): Record<string, unknown> => ({ workspace: 'shop', block: 'web', action });

  it('a human is asked by the server what the runner planned, and a yes starts it there', async () => {
    const done = await ask('ada', 'run_action', { ...web('hello'), wait_seconds: 50 });
    expect(done).toMatchObject({ succeeded: true, run: { runner: 'rack', approval: { by: 'Ada', strength: 'client' } } });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toContain('Workspace: acme/shop');
    expect(done.log_tail).toEqual(['hello']);
    answer = 'no';
    expect((await visitors.old.call('run_action', web('hello'))).error).toMatchObject({ code: 'approval_declined' });
    answer = 'yes';
    expect(marks()).toEqual(['hello']);
  }, 120_000); // prettier-ignore

  it('what a caller may not see its runners do not have either', async () => {
    expect((await visitors.eve.call('run_action', web('hello'))).error).toMatchObject({ code: 'no_runner' });
    expect(await ask('eve', 'list_workspaces', {})).toMatchObject({ total: 0 });
    expect((await ask('eve', 'get_status', {})).executors).toEqual([]);
  });

  it('a workflow is conducted there, each step recorded here', async () => {
    const done = await ask('ada', 'run_workflow', { workspace: 'shop', workflow: 'release', wait_seconds: 50 });
    expect(done).toMatchObject({ succeeded: true, run: { runner: 'rack' } });
    expect(done.steps).toMatchObject([{ status: 'success' }, { status: 'success' }]);
    expect(marks()).toEqual(['hello', 'first', 'second']);
    const step = await ask('ada', 'get_action_run', { run_id: done.steps[0].run_id });
    expect(step.run).toMatchObject({ executor: { runner: 'rack' }, principal: { display: 'Ada' }, parent: done.run.id });
  }, 120_000); // prettier-ignore

  it('a workflow goes on to its next step although its runner ended', async () => {
    const { run } = await ask('ada', 'run_workflow', { workspace: 'shop', workflow: 'slow', wait_seconds: 0 });
    await until(async () => marks(), (seen) => seen.includes('hold'));
    expect(await runner.end()).toBe(0);
    writeFileSync(join(path, 'go-on'), '');
    const done = await ask('ada', 'wait_for_action_run', { run_id: run.id, wait_seconds: 50 });
    expect(done).toMatchObject({ finished: true, succeeded: true });
    expect(marks().at(-1)).toBe('last');
    runner = await start();
  }, 120_000); // prettier-ignore

  it('resources are read there', async () => {
    const { contents } = await (visitors.ada.client as any).readResource({
      uri: 'polycrate://workspaces/acme/shop/blocks/web',
    });
    expect(JSON.parse(contents[0].text)).toMatchObject({ name: 'web', version: '2.0.0' });
  });

  it('a run goes on when its runner ends, and can be cancelled from here', async () => {
    const { run } = await ask('ada', 'run_action', { ...web('wait'), wait_seconds: 0 });
    await until(async () => marks(), (seen) => seen.includes('wait'));
    expect(await runner.end()).toBe(0);
    expect((await visitors.ada.call('run_action', web('hello'))).error).toMatchObject({ code: 'no_runner' });
    const done = await ask('ada', 'cancel_action_run', { run_id: run.id, reason: 'took too long' });
    expect(done).toMatchObject({ finished: true, run: { status: 'cancelled', cancelled_by: 'Ada' } });
    runner = await start();
  }, 120_000); // prettier-ignore

  it('a run ends as it ended while its server was away, and the server that starts anew has its runner', async () => {
    const { run } = await ask('ada', 'run_action', { ...web('wait'), wait_seconds: 0 });
    await until(async () => marks(), (seen) => seen.filter((mark) => mark === 'wait').length === 2);
    const { port } = servers[1]!.url;
    await servers[1]!.kill();
    writeFileSync(join(path, 'enough'), '');
    servers[1] = await serve({ home: at(0), env, withRunner: false, args: ['--port', port] });
    const done = await ask('ada', 'wait_for_action_run', { run_id: run.id, wait_seconds: 50 });
    expect(done).toMatchObject({ succeeded: true, log_tail: ['over'] });
    const again = await ask('ada', 'run_action', { ...web('hello'), wait_seconds: 50 });
    expect(again).toMatchObject({ succeeded: true });
  }, 120_000); // prettier-ignore

  it('where a client cannot ask its user, another person may agree instead, and a key that is taken back starts nothing', async () => {
    const key = async (name: string, ...args: string[]) => makeKey({ home: at(0), env, name, args });
    const [mute, bea] = [await key('Mute', '--role', 'runner'), await key('Bea', '--role', 'approver')];
    const silent = await visit({ url: servers[0]!.url, token: mute.token });
    const records = createPostgresLedger({ url: database.url, log: () => undefined });
    const desk = deskOn(records, []);
    try {
      const waiting = async (): Promise<string> => {
        const { data, error } = await silent.call('run_action', web('hello'));
        expect(error).toBeNull();
        expect(data.run).toMatchObject({ status: 'pending', runner: 'rack', approval_needed: expect.anything() });
        return data.run.id as string;
      };
      const agreed = await waiting();
      await desk.say(agreed, bea.token);
      const done = await ask('ada', 'wait_for_action_run', { run_id: agreed, wait_seconds: 50 });
      expect(done).toMatchObject({ succeeded: true, run: { approval: { by: 'Bea' } } });
      const left = await waiting();
      await command({ home: at(0), env, args: ['keys', 'revoke', mute.id] });
      // The run may be closed before she answers.
      await desk.say(left, bea.token).catch((error: unknown) => expect(error).toMatchObject({ code: 'refused' }));
      const over = await ask('ada', 'wait_for_action_run', { run_id: left, wait_seconds: 50 });
      expect(over).toMatchObject({ finished: true, succeeded: false, run: { status_reason: expect.stringContaining('revoked') } });
    } finally {
      await Promise.all([silent.close(), records.close()]);
    }
  }, 120_000); // prettier-ignore

  it('the doctor of a machine says whether its server takes it', async () => {
    const own = {
      ...localSettings(at(2)),
      POLYCRATE_MCP_RUN_MODE: 'ask',
      POLYCRATE_MCP_RUNNER_KEY: token,
      POLYCRATE_MCP_RUNNER_NAME: 'rack',
    };
    const said = await command({
      home: at(1),
      env: own,
      args: ['doctor', '--server', servers[0]!.url.origin],
    });
    expect(said).toContain(
      `server ${servers[0]!.url.origin}: it takes this machine as a runner, by the name rack`,
    );
  });

  it('a runner whose key opens nothing ends, and says why', async () => {
    const wrong = startRunner({ home: at(1), env: localSettings(at(2)), server: servers[0]!, token: 'pmk_000000000000_wrong', name: 'other' });
    await expect(wrong).rejects.toThrow(/refuses the key[^]*keys create --role machine/);
    const reader = (await makeKey({ home: at(0), env, name: 'reader' })).token;
    const other = startRunner({ home: at(1), env: localSettings(at(2)), server: servers[0]!, token: reader, name: 'other' });
    await expect(other).rejects.toThrow(/role machine/);
  }); // prettier-ignore
});
