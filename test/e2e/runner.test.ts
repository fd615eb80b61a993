import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deskOn, type Desk } from '../support/desk.ts';
import { describeWithEngine } from '../support/engine.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import {
  makeKey,
  serve,
  startRunner,
  visit,
  type Runner,
  type TeamServer,
  type Visitor,
} from '../support/team-server.ts';
import { until } from '../support/until.ts';

// A server that executes nothing, and what happens on the machines of its runners.

const SECRET = 'correct-horse-battery-staple';
const WAITING = `${MARK}; echo waiting; while [ ! -e "$POLYCRATE_WORKSPACE/enough/web" ]; do sleep 0.05; done; echo done; exit 7`;
const POLICY = {
  version: 1,
  rules: [
    { name: 'second-look', when: { action: 'restart' }, decision: 'approve', reason: 'required', approve: { strength: 'other_principal' } },
    { name: 'not-here', when: { action: 'never' }, decision: 'deny' },
    { name: 'rest', when: {}, decision: 'allow' },
  ],
}; // prettier-ignore

type Key = Awaited<ReturnType<typeof makeKey>>;

describeWithEngine('runners of a server that executes nothing', () => {
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let workspace: ScriptWorkspace;
  let team: TeamServer;
  let runner: Runner;
  let other: Runner;
  let ada: Visitor;
  let desk: Desk;
  let records: ReturnType<typeof openSqlite>;
  const keys: Record<'ada' | 'bea' | 'machine', Key> = {} as never;
  const answers: unknown[] = [];
  const at = (n: number): string => folders[n]!.path;
  let env: Record<string, string>;
  let own: Record<string, string>;

  beforeAll(async () => {
    folders = await Promise.all(['home', 'north', 'south', 'rules'].map((name) => tempFolder(name)));
    workspace = await scriptWorkspace({
      web: {
        hello: `${MARK}; echo hello; echo "the password is $(cat "$POLYCRATE_WORKSPACE/artifacts/secrets/password")"`,
        restart: `${MARK}; echo restarted`,
        wait: WAITING,
        never: 'true',
      },
    });
    mkdirSync(join(workspace.path, 'artifacts', 'secrets'), { recursive: true });
    writeFileSync(join(workspace.path, 'artifacts', 'secrets', 'password'), SECRET);
    const [policy, people] = [join(at(3), 'policy.json'), join(at(3), 'people.json')];
    writeFileSync(policy, JSON.stringify(POLICY));
    own = { POLYCRATE_MCP_LOG_LEVEL: 'error', POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy, POLYCRATE_MCP_PEOPLE: people };
    const key = (name: string, ...args: string[]): Promise<Key> => makeKey({ home: at(0), name, args });
    keys.ada = await key('Ada', '--role', 'runner');
    keys.bea = await key('Bea', '--role', 'approver');
    keys.machine = await key('machine room', '--role', 'machine', '--for', 'tests');
    const persons = (['ada', 'bea'] as const).map((name) => ({ person: name, principals: [`key:${keys[name].id}`], names: [] }));
    writeFileSync(people, JSON.stringify({ people: persons }));
    env = trusted(workspace);
    team = await serve({ home: at(0), env: own, withRunner: false });
    ada = await visit({ url: team.url, token: keys.ada.token });
    records = openSqlite(at(0));
    desk = deskOn(records, persons);
  }, 120_000); // prettier-ignore
  afterAll(async () => {
    await ada?.close();
    await Promise.all([runner?.end(), other?.end()]);
    expect(await team?.end()).toBe(0);
    await records?.close();
    await Promise.all([workspace.remove(), ...folders.map((folder) => folder.remove())]);
  });

  const start = (name: string, home: string, ...args: string[]): Promise<Runner> =>
    startRunner({ home, env, server: team, token: keys.machine.token, name, args });
  const ask = async (tool: string, args: object = {}): Promise<any> => {
    const { data, error } = await ada.call(tool, { ...args });
    answers.push(data, error);
    expect(error).toBeNull();
    return data;
  };
  const refused = async (tool: string, args: object = {}): Promise<any> => {
    const { data, error } = await ada.call(tool, { ...args });
    answers.push(data, error);
    return error;
  };
  const web = (action: string): object => ({ workspace: 'scripts', block: 'web', action });
  const executions = async (): Promise<number> =>
    (await workspace.written('marks/web')).split('\n').length - 1;

  it('a call that nobody could execute is refused, and says so', async () => {
    expect(await refused('run_action', web('hello'))).toMatchObject({ code: 'no_runner', next: expect.stringContaining('polycrate-mcp runner') });
    expect(await ask('list_workspaces')).toMatchObject({ workspaces: [], total: 0 });
    expect(await ask('get_status')).toMatchObject({ executors: [], workspaces: { found: 0 } });
  }); // prettier-ignore

  it('a runner brings its workspaces: they are listed, shown and planned', async () => {
    runner = await start('north', at(1), '--labels', 'site=berlin');
    const { workspaces } = await ask('list_workspaces');
    expect(workspaces).toMatchObject([{ name: 'scripts', organization: 'tests', path: workspace.path, runner: 'north' }]);
    expect((await ask('list_blocks', { query: 'hello' })).blocks).toMatchObject([{ name: 'web', runner: 'north' }]);
    expect((await ask('get_block', { workspace: 'scripts', block: 'web' })).block).toMatchObject({ name: 'web', version: '1.0.0' });
    const { plan } = await ask('plan_action', web('hello'));
    expect(plan).toMatchObject({ digest: expect.any(String), policy: { rule: 'rest' } });
    expect((await ask('get_status')).executors).toMatchObject([
      { kind: 'docker', runner: 'north', connected: true, available: true, labels: { site: 'berlin' }, workspaces: 1 },
    ]);
    expect(await refused('plan_action', { ...web('hello'), workspace: 'scrips' })).toMatchObject({ code: 'unknown_name', valid: expect.arrayContaining(['scripts']) });
    expect(await refused('plan_action', web('helo'))).toMatchObject({ code: 'unknown_name', valid: expect.arrayContaining(['hello']) });
    expect(await refused('run_action', web('never'))).toMatchObject({ code: 'refused', message: expect.stringContaining('not-here') });
  }, 120_000); // prettier-ignore

  it('a run is executed there, its record and its log are here', async () => {
    const done = await ask('run_action', { ...web('hello'), wait_seconds: 50, idempotency_key: 'once' });
    expect(done).toMatchObject({ finished: true, succeeded: true, launched: true, run: { runner: 'north' } });
    expect(done.log_tail).toContain('hello');
    const { run } = await ask('get_action_run', { run_id: done.run.id });
    expect(run).toMatchObject({
      executor: { kind: 'docker', runner: 'north' },
      principal: { kind: 'key', display: 'Ada' },
      policy_rule: 'rest',
      exit_code: 0,
    });
    const { lines } = await ask('read_action_run_log', { run_id: run.id });
    expect(lines.map(({ text }: { text: string }) => text)).toEqual(['hello', 'the password is [secret]']);
    const again = await ask('run_action', { ...web('hello'), wait_seconds: 50, idempotency_key: 'once' });
    expect(again).toMatchObject({ replayed: true, run: { id: run.id } });
    expect((await ask('search_trail', { tool: 'run_action', outcome: 'launched' })).calls).toMatchObject([{ run_id: run.id }]);
    expect(await executions()).toBe(1);
  }, 90_000); // prettier-ignore

  it('what a rule keeps until another person agrees is launched there once she does', async () => {
    expect(await refused('run_action', web('restart'))).toMatchObject({ code: 'invalid_argument' });
    const { run } = await ask('run_action', { ...web('restart'), reason: 'connections pile up' });
    expect(run).toMatchObject({ status: 'pending', approval_needed: expect.anything() });
    expect(await executions()).toBe(1);
    await desk.say(run.id, keys.bea.token);
    const done = await ask('wait_for_action_run', { run_id: run.id, wait_seconds: 50 });
    expect(done).toMatchObject({ finished: true, succeeded: true, run: { approval: { by: 'Bea' } } });
    expect(await executions()).toBe(2);
  }, 90_000);

  it('a run whose runner is killed stays open, and ends as it ended once the runner is back', async () => {
    const { run } = await ask('run_action', { ...web('wait'), wait_seconds: 0 });
    await until(executions, (seen) => seen === 3);
    await runner.kill();
    const away = await until(
      () => refused('run_action', web('hello')),
      (error) => error?.code === 'no_runner',
    );
    expect(away.message).toContain('north (away since');
    await workspace.enough('web');
    expect(await ask('wait_for_action_run', { run_id: run.id, wait_seconds: 1 })).toMatchObject({
      finished: false,
    });
    runner = await start('north', at(1), '--labels', 'site=berlin');
    const done = await ask('wait_for_action_run', { run_id: run.id, wait_seconds: 50 });
    expect(done).toMatchObject({ finished: true, succeeded: false, run: { status: 'failed', exit_code: 7 } });
    const { lines } = await ask('read_action_run_log', { run_id: run.id });
    expect(lines.map(({ text }: { text: string }) => text)).toEqual(['waiting', 'done']);
    expect(await executions()).toBe(3);
  }, 120_000);

  it('of two runners with the same workspace one has to be named, by its name or its labels', async () => {
    other = await start('south', at(2), '--labels', 'site=munich');
    expect(await refused('run_action', web('hello'))).toMatchObject({ code: 'ambiguous_name', valid: ['north', 'south'] });
    const named = await ask('run_action', { ...web('hello'), runner: 'site=munich', wait_seconds: 50 });
    expect(named).toMatchObject({ succeeded: true, run: { runner: 'south' } });
    // Again, where it ran.
    const again = await ask('retrigger_action_run', { run_id: named.run.id, wait_seconds: 50 });
    expect(again).toMatchObject({ succeeded: true, drift: [], run: { runner: 'south', retrigger_of: named.run.id } });
    expect(await other.end()).toBe(0);
    expect(await refused('run_action', { ...web('hello'), runner: 'south' })).toMatchObject({ code: 'no_runner' });
  }, 120_000); // prettier-ignore

  it('a server that starts anew learns from its runner what there is', async () => {
    const { port } = team.url;
    expect(await team.end()).toBe(0);
    team = await serve({ home: at(0), env: own, withRunner: false, args: ['--port', port] });
    const listed = (): Promise<any> => ask('list_workspaces');
    await until(listed, ({ total }) => total === 1);
    expect(await ask('plan_action', web('hello'))).toMatchObject({ plan: { policy: { rule: 'rest' } } });
  }, 120_000);

  it('no secret of the workspace came to the server', () => {
    expect(JSON.stringify(answers)).toContain('the password is');
    expect(JSON.stringify(answers)).not.toContain(SECRET);
    const files = readdirSync(at(0), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    expect(files.length).toBeGreaterThan(3);
    for (const { parentPath, name } of files) {
      expect(readFileSync(join(parentPath, name)).includes(SECRET), name).toBe(false);
    }
  });
});
