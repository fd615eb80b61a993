import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import { deskOn, type Desk } from '../support/desk.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { connect, MAIN, tempFolder, type Connection } from '../support/mcp.ts';
import { makeKey } from '../support/team-server.ts';
import { inTerminal } from '../support/terminal.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let [home, root, policy, people]: string[] = [];
let server: Connection;
let bea: { id: string; token: string };
let cy: typeof bea;
let reader: typeof bea;
let records: Records;
let desk: Desk;

const MARKED = 'mkdir -p "$POLYCRATE_WORKSPACE/marks"; echo ran >> "$POLYCRATE_WORKSPACE/marks/all"';
const approve = (name: string, action: string, terms: object) => ({
  name,
  when: { action },
  decision: 'approve',
  approve: terms,
});
const RULES = [
  approve('key', 'restart', { strength: 'key' }),
  approve('two', 'wipe', { count: 2 }),
  approve('soon', 'soon', { strength: 'key', expires: '1s' }),
  approve('other', 'again', { strength: 'other_principal' }),
  { name: 'hello', when: { action: 'hello' }, decision: 'allow' },
]; // prettier-ignore
const blocks = (line = 'echo one') => ({
  db: {
    actions: [
      { ...script('restart', MARKED, line), prompt: 'Is the replica up?' },
      script('hello', 'echo hello'),
    ],
  },
  web: { actions: ['wipe', 'soon', 'again', 'restart'].map((name) => script(name, MARKED, line)) },
});
const workspace = (line?: string) =>
  writeWorkspace(root!, {
    name: 'shop',
    organization: 'acme',
    blocks: blocks(line),
    rest: {
      workflows: [
        {
          name: 'all',
          steps: [
            { name: 'one', block: 'web', action: 'restart' },
            { name: 'two', block: 'db', action: 'hello' },
          ],
        },
      ],
    },
  });

const env = (): Record<string, string> => ({
  ...localSettings(root!), POLYCRATE_MCP_HOME: home!, POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy!, POLYCRATE_MCP_PEOPLE: people!,
}); // prettier-ignore
const executions = (): number => {
  try {
    return readFileSync(join(root!, 'acme', 'shop', 'marks', 'all'), 'utf8').split('\n').length - 1;
  } catch {
    return 0;
  }
};
const ask = async (more: Record<string, unknown> = {}): Promise<any> => {
  const target = { workspace: 'shop', block: 'db', action: 'restart', reason: 'disk is full', ...more };
  const { data, error } = await server.call('run_action', target);
  expect(error).toBeNull();
  return data;
};
const record = async (run_id: string): Promise<any> =>
  (await server.call('get_action_run', { run_id })).data.run;
const ended = async (run_id: string): Promise<any> => {
  for (;;) {
    const { data } = await server.call('wait_for_action_run', { run_id, wait_seconds: 50 });
    if (data.finished) return data.run;
  }
};
/** Of a run, from a terminal. */
const codeOf = async (run_id: string): Promise<string> => {
  const { screen } = await inTerminal(['approvals'], env());
  return new RegExp(`${run_id}[^]*?Code: +([0-9A-Z]{10})`).exec(screen)?.[1] ?? screen;
};
const answer = (command: 'approve' | 'deny', code: string, key: string, ...more: string[]) =>
  inTerminal([command, code, ...more], env(), [{ after: /Your API key/, text: key }]);
const piped = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], HOME: home, ...env() },
    encoding: 'utf8',
    input: `${bea.token}\n`,
  });

beforeAll(async () => {
  folders = await Promise.all(['home', 'root', 'rules'].map(tempFolder));
  [home, root] = [folders[0]!.path, folders[1]!.path];
  [policy, people] = ['policy.json', 'people.json'].map((file) => join(folders[2]!.path, file)) as [string, string];
  await workspace();
  const named = (name: string, role: string) => makeKey({ home: home!, name, args: ['--role', role] });
  [bea, cy, reader] = [await named('Bea', 'approver'), await named('Cy', 'approver'), await named('Rea', 'reader')];
  const user = spawnSync('id', ['-un'], { encoding: 'utf8' }).stdout.trim();
  const persons = [['ada', `os:${user}`], ['bea', `key:${bea.id}`], ['cy', `key:${cy.id}`]];
  writeFileSync(people, JSON.stringify({ people: persons.map(([person, principal]) => ({ person, principals: [principal] })) }));
  writeFileSync(policy, JSON.stringify({ version: 1, rules: RULES }));
  server = await connect({ home: home, env: env() });
  records = openSqlite(home);
  desk = deskOn(records, persons.map(([person, principal]) => ({ person: person!, principals: [principal!], names: [] })));
}); // prettier-ignore
afterAll(async () => {
  await Promise.all([server.close(), records.close()]);
  await Promise.all(folders.map((folder) => folder.remove()));
});
afterEach(() => workspace());

describe('a run that others have to approve', () => {
  it('waits and is launched by nobody but who approves it in a terminal with a key; the code is nowhere else', async () => {
    const asked = await ask();
    const { run } = asked;
    expect(asked).toMatchObject({
      launched: false,
      finished: false,
      next: expect.stringContaining('no call can do'),
    });
    expect(run).toMatchObject({
      status: 'pending',
      approval_needed: { rule: 'key', expires_at: expect.any(String), approved_by_now: 0 },
    });
    expect(run.approval_needed.shown).toContain('The action asks: Is the replica up?');
    // What its rule allows goes on beside it.
    expect((await ask({ action: 'hello', wait_seconds: 50 })).succeeded).toBe(true);
    const { policy: standing } = (await server.call('get_status')).data;
    expect(standing.approvals_are).toContain('detection, not a boundary');
    const list = piped('approvals');
    expect(list).toMatchObject({ status: 0, stdout: expect.stringContaining(run.id) });
    expect(list.stdout).not.toContain('Code:');
    const code = await codeOf(run.id);
    expect(code).toMatch(/^[0-9A-Z]{10}$/);
    expect(piped('approve', code)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('needs a terminal'),
    });
    expect(await answer('approve', code, reader.token)).toMatchObject({
      code: 1,
      screen: expect.stringContaining('needs the role approver'),
    });
    expect(await answer('approve', code, '')).toMatchObject({
      code: 1,
      screen: expect.stringMatching(/asked for themselves|API key is needed/),
    });
    expect(await answer('approve', 'AAAAAAAAAA', bea.token)).toMatchObject({
      code: 1,
      screen: expect.stringContaining('nothing waits'),
    });
    expect(executions()).toBe(0);
    const done = await answer('approve', code.toLowerCase(), bea.token, '--reason', 'Replica is up');
    expect(done).toMatchObject({ code: 0, screen: expect.stringMatching(/Approved: run/) });
    expect(done.screen).not.toContain(bea.token);
    expect(await ended(run.id)).toMatchObject({
      status: 'success',
      approval: { strength: 'other_principal', by: 'Bea', person: 'bea' },
    });
    expect(await record(run.id)).toMatchObject({
      approval: { reason: 'Replica is up' },
      approvals: [{ principal: { subject: bea.id } }],
      approved_at: expect.any(String),
    });
    expect(executions()).toBe(1);
    await expect(desk.say(run.id, cy.token)).rejects.toThrow(/waits no more|approved already/);
    const trail = (await server.call('search_trail', { during: 'today', limit: 100 })).data;
    const outcomes = trail.calls.map(({ tool, outcome }: any) => `${tool} ${outcome}`);
    for (const each of ['run_action asked', 'approve refused', 'approve approved'])
      expect(outcomes).toContain(each);
    const seen = [JSON.stringify([asked, trail, await record(run.id), list])];
    for (const file of readdirSync(home!, { withFileTypes: true })) {
      if (file.isFile() && !file.name.endsWith('.key'))
        seen.push(readFileSync(join(home!, file.name), 'latin1'));
    }
    for (const text of seen) expect(text.toUpperCase()).not.toContain(code);
    expect(piped('ledger', 'verify')).toMatchObject({ stdout: expect.not.stringContaining('tampered') });
  }, 120_000);

  it('is ended by a no, by a cancellation, and by its time', async () => {
    const before = executions();
    const { run } = await ask();
    await desk.say(run.id, cy.token, 'declined', 'not today');
    expect(await ended(run.id)).toMatchObject({
      status: 'cancelled',
      status_reason: expect.stringContaining('declined'),
      approval: { outcome: 'declined', reason: 'not today' },
    });
    const second = (await ask()).run;
    const cancelled = (await server.call('cancel_action_run', { run_id: second.id })).data;
    expect(cancelled).toMatchObject({ finished: true, run: { status: 'cancelled' } });
    const third = (await ask({ block: 'web', action: 'soon' })).run;
    expect(await ended(third.id)).toMatchObject({
      status: 'cancelled',
      status_reason: expect.stringContaining('expired'),
    });
    await expect(desk.say(third.id, bea.token)).rejects.toThrow('waits no more');
    expect(executions()).toBe(before);
  }, 120_000);

  it('is asked for once more when what would run changed, and the old answer counts for nothing', async () => {
    const before = executions();
    const { run } = await ask();
    const old = (await records.ledger.find(run.id))!;
    const [code, link] = [await desk.code(old), await desk.link(old)];
    await workspace('echo two');
    await desk.say(run.id, bea.token);
    await expect
      .poll(async () => (await record(run.id)).approval_request.again, { timeout: 40_000 })
      .toContain('not what was asked for');
    const now = await record(run.id);
    expect(now).toMatchObject({
      status: 'pending',
      approved_at: null,
      approvals: [],
      approval_request: { drift: [expect.stringContaining('block')] },
    });
    await expect(desk.byCode(code!)).rejects.toThrow('nothing waits');
    expect(await desk.byLink(run.id, new URLSearchParams(link!.split('?')[1]).get('sig')!)).toBeNull();
    expect(executions()).toBe(before);
    await desk.say(run.id, bea.token);
    expect(await ended(run.id)).toMatchObject({ status: 'success' });
    expect(executions()).toBe(before + 1);
  }, 120_000);

  it('of two persons waits for both; so do re-triggers and workflows', async () => {
    const before = executions();
    const { run } = await ask({ block: 'web', action: 'wipe' });
    await desk.say(run.id, bea.token);
    await expect(desk.say(run.id, bea.token)).rejects.toThrow('approved it already');
    expect(executions()).toBe(before);
    await desk.say(run.id, cy.token);
    expect(await ended(run.id)).toMatchObject({ status: 'success' });
    const again = (await server.call('retrigger_action_run', { run_id: run.id, reason: 'again' })).data;
    expect(again.run).toMatchObject({ status: 'pending', approval_needed: { rule: 'two' } });
    for (const { token } of [bea, cy]) await desk.say(again.run.id, token);
    expect(await ended(again.run.id)).toMatchObject({ status: 'success', retrigger_of: run.id });
    const flow = (await server.call('run_workflow', { workspace: 'shop', workflow: 'all' })).data;
    expect(flow.run).toMatchObject({ status: 'pending', approval_needed: { rule: 'key' } });
    expect(executions()).toBe(before + 2);
    await desk.say(flow.run.id, bea.token);
    expect(await ended(flow.run.id)).toMatchObject({ status: 'success' });
    expect(executions()).toBe(before + 3);
  }, 120_000);
});
