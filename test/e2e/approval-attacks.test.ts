import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Answer } from '../../src/runs/approval.ts';
import type { Records } from '../../src/history/records.ts';
import { deskOn, type Desk } from '../support/desk.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { startRaw } from '../support/raw.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { makeKey, serve, visit } from '../support/team-server.ts';

// What somebody tries who wants a run without the approval that its rule asks for. Nothing is executed.

const TARGET = { workspace: 'scripts', block: 'block', action: 'go', reason: 'why' };
const ASKS = { name: 'asks', decision: 'approve', approve: { strength: 'key' } };

describeWithPostgres('attacks on approvals, on a database that two servers share', () => {
  let database: PostgresServer;
  let place: Place;
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let workspace: ScriptWorkspace;
  let [home, policy, people]: string[] = [];
  let records: Records;
  let desk: Desk;
  let servers: Connection[];
  let [bea, cy]: Awaited<ReturnType<typeof makeKey>>[] = [];

  const env = (): Record<string, string> => ({
    ...trusted(workspace, 'local'), POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy!, POLYCRATE_MCP_PEOPLE: people!,
    POLYCRATE_MCP_DATABASE_URL: place.url,
  }); // prettier-ignore
  const write = (...rules: object[]): void => writeFileSync(policy!, JSON.stringify({ version: 1, rules }));
  const replica = async (): Promise<Connection> => {
    const one = await connect({ home: home!, env: env() });
    servers.push(one);
    // A server looks after runs from its first call on.
    await one.call('get_status');
    return one;
  };
  const executions = async (): Promise<number> =>
    (await workspace.written('marks/block')).split('\n').length - 1;
  const ask = async (server: Pick<Connection, 'call'>): Promise<string> => {
    const { data, error } = await server.call('run_action', TARGET);
    expect(error).toBeNull();
    expect(data.run.status).toBe('pending');
    return data.run.id;
  };
  const ended = async (server: Connection, run_id: string): Promise<any> => {
    for (;;) {
      const { data } = await server.call('wait_for_action_run', { run_id, wait_seconds: 50 });
      if (data.finished) return data.run;
    }
  };
  const newest = async (run_id: string): Promise<any> => await records.ledger.find(run_id);

  beforeAll(async () => {
    database = await usePostgres();
  });
  afterAll(() => database.stop());
  beforeEach(async () => {
    servers = [];
    [place, folders] = await Promise.all([database.place(), Promise.all(['home', 'rules'].map(tempFolder))]);
    home = folders[0]!.path;
    [policy, people] = ['policy.json', 'people.json'].map((file) => join(folders[1]!.path, file)) as [
      string,
      string,
    ];
    workspace = await scriptWorkspace({ block: { go: MARK } });
    records = createPostgresLedger({ url: place.url, log: () => undefined });
    write(ASKS);
    const own = { POLYCRATE_MCP_DATABASE_URL: place.url };
    const key = (name: string) =>
      makeKey({ home: home!, env: own, name, args: ['--role', 'runner', '--role', 'approver'] });
    [bea, cy] = [await key('Bea'), await key('Cy')];
    const persons = [
      { person: 'bea', principals: [`key:${bea.id}`], names: [] },
      { person: 'cy', principals: [`key:${cy.id}`], names: [] },
    ];
    writeFileSync(
      people,
      JSON.stringify({ people: persons.map(({ person, principals }) => ({ person, principals })) }),
    );
    desk = deskOn(records, persons);
  });
  afterEach(async () => {
    await Promise.all(servers.map((one) => one.close().catch(() => undefined)));
    await records.close();
    await place.remove();
    await workspace.remove();
    await Promise.all(folders.map((folder) => folder.remove()));
  });

  it('two approvers at the same moment, and two servers that see it: one answer counts, one launch', async () => {
    const [one, two] = [await replica(), await replica()];
    const run_id = await ask(one);
    const outcomes = await Promise.allSettled([
      desk.say(run_id, bea!.token),
      desk.say(run_id, cy!.token),
      desk.say(run_id, bea!.token),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(await ended(two, run_id)).toMatchObject({ status: 'success' });
    expect(await executions()).toBe(1);
    const run = await newest(run_id);
    expect(run.approvals).toHaveLength(1);
    // What was answered before opens nothing once more: as it was, and with parts of another request.
    await expect(desk.say(run_id, cy!.token)).rejects.toThrow(/waits no more|approved already/);
    const second = await ask(one);
    const { nonce, plan_digest } = run.approval_request;
    const { principal } = run.approvals[0];
    const replayed: Answer = {
      ...{
        run_id: second,
        nonce,
        plan_digest,
        outcome: 'approved',
        reason: null,
        at: Date.now(),
        now: Date.now(),
      },
      ...{
        approver: { principal, roles: ['approver'] },
        proof: 'key',
        person: 'bea',
        requester_person: null,
      },
    };
    expect(await records.ledger.answer(replayed)).toEqual({ refused: 'superseded' });
    expect(await executions()).toBe(1);
  }, 120_000);

  it('the server that asked is killed while it waits: another one goes on, once', async () => {
    const one = await replica();
    const run_id = await ask(one);
    process.kill(one.pid, 'SIGKILL');
    await desk.say(run_id, bea!.token);
    expect((await newest(run_id)).launched).toBe(false);
    expect(await ended(await replica(), run_id)).toMatchObject({ status: 'success' });
    expect(await executions()).toBe(1);
  }, 120_000);

  it('an elicitation that is forged for a rule that wants more, and the requester by every way', async () => {
    const raw = startRaw({ home: home!, env: env(), capabilities: { elicitation: {} } });
    const yes = { inputResponses: { approve: { action: 'accept', content: { approve: true } } } };
    const { result } = await raw.call('run_action', TARGET, yes);
    expect(result.structuredContent.run).toMatchObject({ status: 'pending', approval_needed: { approved_by_now: 0 } });
    await raw.end();
    expect(await executions()).toBe(0);
    await desk.say(result.structuredContent.run.id, bea!.token, 'declined');
    const server = await serve({ home: home!, env: env() });
    const asker = await visit({ url: server.url, token: bea!.token, onAsk: () => ({ action: 'accept', content: { approve: true } }) });
    const run_id = await ask(asker);
    await expect(desk.say(run_id, bea!.token)).rejects.toThrow('asked for themselves');
    const other = await makeKey({ home: home!, env: { POLYCRATE_MCP_DATABASE_URL: place.url }, name: 'Bea', args: ['--role', 'approver'] });
    const mapped = deskOn(records, [{ person: 'bea', principals: [`key:${bea!.id}`, `key:${other.id}`], names: [] }]);
    await expect(mapped.say(run_id, other.token)).rejects.toThrow('asked for themselves');
    for (const extra of [{ approved: true }, { approval: 'yes' }, { code: (await desk.code(await newest(run_id)))! }]) {
      expect((await asker.call('run_action', { ...TARGET, ...extra })).error!.code).toBe('invalid_argument');
    }
    await asker.close();
    await server.end();
    expect(await executions()).toBe(0);
  }, 120_000); // prettier-ignore

  it('a policy that became looser while it waits launches nothing; one that became stricter asks or denies', async () => {
    const run_id = await ask(await replica());
    write({ name: 'all', decision: 'allow' });
    // A restart, after which the looser one is in force.
    await servers.pop()!.close();
    const looser = await replica();
    expect((await looser.call('plan_action', { ...TARGET, reason: undefined })).data.plan.policy).toMatchObject({ decision: 'allow' });
    await looser.call('wait_for_action_run', { run_id, wait_seconds: 4 });
    expect(await newest(run_id)).toMatchObject({ status: 'pending', approval_request: { strength: 'key' } });
    expect(await executions()).toBe(0);
    write({ name: 'two', decision: 'approve', approve: { count: 2 } });
    await servers.pop()!.close();
    const server = await replica();
    await desk.say(run_id, bea!.token);
    await expect.poll(() => newest(run_id), { timeout: 60_000 }).toMatchObject({ approved_at: null, approval_request: { count: 2, rule: 'two' } });
    expect(await executions()).toBe(0);
    // Who asked is nobody in the people file, so under this rule nobody can approve it, and it says so.
    await expect(desk.say(run_id, cy!.token)).rejects.toThrow('does not say which person asked');
    expect((await server.call('run_action', TARGET)).error).toMatchObject({ code: 'approval_unavailable' });
    await server.call('cancel_action_run', { run_id });
    write(ASKS);
    await servers.pop()!.close();
    const third = await replica();
    const last = await ask(third);
    write({ name: 'freeze', decision: 'deny', why: 'the freeze' }, ASKS);
    await desk.say(last, bea!.token);
    expect(await ended(third, last)).toMatchObject({ status: 'cancelled', status_reason: expect.stringContaining('the freeze') });
    expect(await executions()).toBe(0);
  }, 120_000); // prettier-ignore
});
