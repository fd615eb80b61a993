import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunnerLedger } from '../../src/adapters/runner-ledger/index.ts';
import type { Subject } from '../../src/actions/policy-rules.ts';
import type { NextCalls } from '../../src/runners/attend.ts';
import type { RulesInForce } from '../../src/runners/call.ts';
import type { IntentRequest } from '../../src/runs/run-ledger.ts';
import { intentFor } from '../support/fill-ledger.ts';
import { tempFolder, type Answer } from '../support/mcp.ts';
import { connectRunner } from '../support/runner-server.ts';
import { until } from '../support/until.ts';
import { makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { timeLimit } from '../../src/shared/time-limit.ts';

// What a runner may make of a call, tried by one that says what it likes. Nothing is executed here.

const POLICY = {
  version: 1,
  rules: [
    { name: 'second', when: { action: 'restart' }, decision: 'approve', approve: { strength: 'other_principal', expires: '1h' } },
    { name: 'gold', when: { labels: { tier: 'gold' } }, decision: 'deny' },
    { name: 'ask', when: { action: 'careful' }, decision: 'approve', approve: { strength: 'client' } },
    { name: 'rest', when: {}, decision: 'allow', limits: { per_hour: 50 } },
  ],
}; // prettier-ignore
const ROOT = { kind: 'os', issuer: 'nowhere', subject: '0:root', display: 'root' };

describe('a runner that says what it likes', () => {
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let team: TeamServer;
  let ada: Visitor;
  let rules: RulesInForce;
  let adaId: string;
  const machines: Record<'mine' | 'other', RunnerLedger> = {} as never;

  beforeAll(async () => {
    folders = await Promise.all(['home', 'mine', 'other'].map((name) => tempFolder(name)));
    const [home] = folders.map(({ path }) => path) as [string];
    const [policy, people] = [join(home, 'policy.json'), join(home, 'people.json')];
    writeFileSync(policy, JSON.stringify(POLICY));
    const env = { POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy, POLYCRATE_MCP_PEOPLE: people, POLYCRATE_MCP_LOG_LEVEL: 'error' };
    const key = (name: string, ...args: string[]): ReturnType<typeof makeKey> => makeKey({ home, name, args });
    const asker = await key('Ada', '--role', 'runner');
    adaId = asker.id;
    writeFileSync(people, JSON.stringify({ people: [{ person: 'ada', principals: [`key:${asker.id}`] }] }));
    const [mine, other] = [await key('mine', '--role', 'machine', '--for', 'acme'), await key('other', '--role', 'machine')];
    team = await serve({ home, env, withRunner: false });
    ada = await visit({ url: team.url, token: asker.token });
    const url = team.url.origin;
    machines.mine = connectRunner({ url, home: folders[1]!.path, key: () => mine.token, place: 'place-of-mine-0001' });
    machines.other = connectRunner({ url, home: folders[2]!.path, key: () => other.token, place: 'place-of-other-001' });
    rules = await enter('mine', 'rack', 'acme', 'globex');
    await enter('other', 'shelf', 'initech');
  }, 120_000); // prettier-ignore
  afterAll(async () => {
    await ada?.close();
    await Promise.all(Object.values(machines).map((machine) => machine.close()));
    expect(await team?.end()).toBe(0);
    await Promise.all(folders.map((folder) => folder.remove()));
  });

  const enter = (
    who: keyof typeof machines,
    name: string,
    ...organizations: string[]
  ): Promise<RulesInForce> =>
    machines[who].calls.enter({
      ...{ name, labels: {}, version: '1' },
      engine: { kind: 'docker', available: true, version: '1', problem: null },
      workspaces: organizations.map((organization) => ({
        ...{ organization, name: 'shop', alias: [], environment: null, blocks: ['web'], aliases: ['www'] },
      })),
    });
  let polls = 0;
  const next = (): Promise<NextCalls> =>
    machines.mine.calls.next(
      'rack',
      `00000000-0000-7000-8000-${String(++polls).padStart(12, '0')}`,
      timeLimit(20_000),
    );
  /** A call of Ada on its way, as its runner got it. */
  const handed = async (
    args: object = {},
    tool = 'run_action',
  ): Promise<{ id: string; answered: Promise<Answer> }> => {
    const answered = ada.call(tool, {
      workspace: 'acme/shop',
      block: 'web',
      action: 'hello',
      wait_seconds: 0,
      ...args,
    });
    const { calls } = await next();
    return { id: calls[0]!.id, answered };
  };
  const about = (labels: Record<string, string> = {}): Subject => ({
    ...{ organization: 'acme', workspace: 'shop', environment: null, block: 'web', version: null, action: 'hello' },
    ...{ labels, kind: null, executor: 'docker', prompt: null },
  }); // prettier-ignore
  interface Told {
    facts?: object;
    own?: object;
    lease?: object;
    more?: Partial<IntentRequest>;
  }
  const intent = ({ facts = {}, own = {}, lease = {}, more = {} }: Told = {}): IntentRequest => {
    const plain = intentFor({ requested_at: Date.now(), block: 'web', action: 'hello', plan_digest: 'd' });
    const { workspace_path: _, ...known } = plain.event.facts;
    const digest = typeof rules.policy === 'object' ? rules.policy!.digest : null;
    const told = {
      ...known,
      policy_digest: digest,
      policy_rule: 'rest',
      requester_roles: ['admin'],
      ...facts,
    };
    return {
      ...plain,
      event: {
        ...plain.event,
        facts: told,
        private: { ...plain.event.private, principal: ROOT, workspace_path: '/srv/shop', ...own },
      },
      lease: { ...plain.lease, expires_at: Date.now() + 20_000, ...lease },
      about: [about()],
      ...more,
    };
  };
  const forget = async (id: string, answered: Promise<unknown>): Promise<void> => {
    await machines.mine.calls.answer('rack', id, { error: { code: 'refused', message: 'no' } });
    await answered;
  };

  const LIES: [string, string, Told, object?][] = [
    ['a workspace that its key does not reach', 'does not reach', { facts: { organization: 'globex' } }],
    ['another workspace', 'another workspace', { facts: { workspace: 'depot' } }],
    ['another block', 'another action', { facts: { block: 'db' } }],
    ['another action', 'another action', { facts: { action: 'restart' } }],
    ['a run again', 'another kind of run', { facts: { trigger: 'retrigger', retrigger_of: '00000000-0000-7000-8000-000000000000' } }],
    ['a workflow', 'another action', { facts: { kind: 'workflow', workflow: 'release', steps: [] }, more: { about: [] } }],
    ['a reason that nobody gave', 'another reason', { own: { reason: 'because' } }],
    ['a rule of yesterday', 'the rules changed', { facts: { policy_digest: 'yesterday' } }],
    ['what a rule denies', 'gold', { more: { about: [about({ tier: 'gold' })] } }],
    ['nothing to decide about', 'does not tell', { more: { about: [] } }],
    ['a run that waits where no rule says so', 'the rules changed', { lease: { executor: 'approval' } }],
    ['a run that does not wait where a rule says so', 'the rules changed', { facts: { action: 'restart' } }, { action: 'restart' }],
    ['a yes that no human gave', 'no human', { facts: { action: 'careful' }, more: { burn: { nonce: 'n', expires_at: 9e12 } } }, { action: 'careful' }],
    ['another key than that of the call', 'idempotency key', { more: { idempotency: { scope: 's', key: 'k', arguments_digest: 'd', valid_ms: 1 } } }, { idempotency_key: 'mine' }],
  ]; // prettier-ignore

  it.each(LIES)('records nothing: %s', async (_, why, told, args = {}) => {
    const { id, answered } = await handed(args);
    const asked = machines.mine.ledgerFor(id).request(intent(told));
    await expect(asked).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining(why) });
    await forget(id, answered);
  });

  it('its tools take the name of a runner, and are not too many words', async () => {
    const { tools } = await (ada.client as any).listTools();
    const taking = tools
      .filter(({ inputSchema }: any) => inputSchema.properties.runner)
      .map(({ name }: any) => name);
    expect(taking).toEqual(['plan_action', 'run_action', 'run_workflow', 'retrigger_action_run']);
    expect(JSON.stringify(tools).length / 4).toBeLessThan(6_000);
  });

  it('records nothing for a call of somebody else, of nobody, or that is over', async () => {
    const { id, answered } = await handed();
    for (const ledger of [machines.other.ledgerFor(id), machines.mine.ledgerFor('01900000-0000-7000-8000-000000000000')])
      await expect(ledger.request(intent())).rejects.toMatchObject({ code: 'refused' });
    expect(await machines.other.calls.answer('shelf', id, { result: {} })).toBe(false);
    await expect(machines.other.calls.answer('rack', id, { result: {} })).rejects.toMatchObject({ code: 'refused' });
    await forget(id, answered);
    await expect(machines.mine.ledgerFor(id).request(intent())).rejects.toMatchObject({ code: 'refused' });
    await expect(machines.mine.ledger.request(intent())).rejects.toMatchObject({ code: 'refused' });
    await expect(machines.other.calls.enter({ name: 'rack' } as never)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(enter('other', 'rack', 'acme')).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining('another runner') });
  }); // prettier-ignore

  it('of a run the server says who asked, by which rule, and which runner; one call starts one', async () => {
    const { id, answered } = await handed({ reason: 'disk is full' });
    const ledger = machines.mine.ledgerFor(id);
    const told = intent({ own: { reason: 'disk is full' }, facts: { policy_rule: 'gold' } });
    const stored = await ledger.request(told);
    if (stored.outcome !== 'stored') throw new Error(stored.outcome);
    await expect(ledger.request(intent({ own: { reason: 'disk is full' } }))).rejects.toMatchObject({ code: 'refused' });
    const guard = { run_id: stored.run.id, fence: stored.fence };
    // What nobody was asked about waits for nobody.
    const again = machines.mine.leases.promote(guard, { executor: 'approval', alone: false });
    await expect(again).rejects.toMatchObject({ code: 'refused' });
    const run_id = stored.run.id;
    await machines.mine.calls.answer('rack', id, { started: { outcome: 'started', run_id, age_ms: 0, drift: [] } });
    expect((await answered).data).toMatchObject({ run: { id: run_id, runner: 'rack' } });
    const { run } = (await ada.call('get_action_run', { run_id })).data;
    expect(run).toMatchObject({
      principal: { kind: 'key', subject: adaId, display: 'Ada' },
      ...{ policy_rule: 'rest', requester_roles: ['runner'], reason: 'disk is full' },
      executor: { kind: 'docker', runner: 'rack' },
    });
    const { calls } = (await ada.call('search_trail', { tool: 'run_action', outcome: 'launched' })).data;
    expect(calls).toMatchObject([{ run_id }]);
    await end(run_id, stored.fence);
  }); // prettier-ignore

  const end = async (run_id: string, fence: number): Promise<void> => {
    const facts = { status: 'failed', status_reason: 'a test', launched: false, started_at: null, exit_code: null, finished_at: Date.now(), duration_ms: null, log: null };
    await machines.mine.ledger.append({ kind: 'run_finished', run_id, at: Date.now(), facts, private: {} }, { run_id, fence }, { release: true });
  }; // prettier-ignore

  it('an answer that was lost is no lost run, and one that nobody gets is no second one', async () => {
    const { id, answered } = await handed();
    const stored = await machines.mine.ledgerFor(id).request(intent());
    if (stored.outcome !== 'stored') throw new Error(stored.outcome);
    await machines.mine.calls.leave('rack');
    expect((await answered).data).toMatchObject({ run: { id: stored.run.id, status: 'pending' } });
    await end(stored.run.id, stored.fence);
    const nobody = await ada.call('run_action', { workspace: 'acme/shop', block: 'web', action: 'hello' });
    expect(nobody.error).toMatchObject({ code: 'no_runner', details: { runners: [{ name: 'rack' }] } });
    await enter('mine', 'rack', 'acme');
  });

  it('a caller that vanished finds its run again, and nothing is started twice', async () => {
    const gone = new AbortController();
    const args = { workspace: 'acme/shop', block: 'www', action: 'hello', wait_seconds: 0 };
    const left = ada.call('run_action', args, { signal: gone.signal }).catch(() => null);
    const { calls } = await next();
    gone.abort();
    await left;
    const stored = await machines.mine.ledgerFor(calls[0]!.id).request(intent());
    if (stored.outcome !== 'stored') throw new Error(stored.outcome);
    const run_id = stored.run.id;
    await machines.mine.calls.answer('rack', calls[0]!.id, { started: { outcome: 'started', run_id, age_ms: 0, drift: [] } });
    const ledger = new Sqlite(join(folders[0]!.path, 'ledger.db'), { readonly: true });
    const teller = ledger.prepare('SELECT teller FROM untold WHERE run_id = ?').pluck();
    await until(async () => teller.get(run_id), (told) => told === '');
    ledger.close();
    expect((await ada.call('run_action', args)).data).toMatchObject({ replayed: true, run: { id: run_id } });
    await end(run_id, stored.fence);
  }); // prettier-ignore

  it('what waits for others asks for what its rule wants', async () => {
    const { id, answered } = await handed({ action: 'restart' });
    const facts = { action: 'restart', policy_rule: 'second' };
    const told = intent({ facts, lease: { executor: 'approval' }, more: { about: [{ ...about(), action: 'restart' }] } });
    const stored = await machines.mine.ledgerFor(id).request(told);
    if (stored.outcome !== 'stored') throw new Error(stored.outcome);
    const guard = { run_id: stored.run.id, fence: stored.fence };
    const request = { count: 1, role: null, strength: 'other_principal', nonce: 'n', plan_digest: 'd', rule: 'second', why: 'w', asked_at: Date.now(), expires_at: Date.now() + 60_000, again: null, shown: [], drift: [], mode: null, alone: true };
    const asking = (more: object): Promise<unknown> =>
      machines.mine.ledger.append({ kind: 'run_approval_asked', run_id: guard.run_id, at: Date.now(), facts: { approval_request: { ...request, ...more }, approvals: [], approval: null, approved_at: null }, private: {} }, guard);
    for (const less of [{ strength: 'client' }, { strength: 'key' }, { count: 0 }, { expires_at: Date.now() + 9e8 }])
      await expect(asking(less)).rejects.toMatchObject({ code: 'refused' });
    await asking({});
    await machines.mine.leases.give(guard, 'release');
    await machines.mine.calls.answer('rack', id, { started: { outcome: 'started', run_id: guard.run_id, age_ms: 0, drift: [] } });
    expect((await answered).data).toMatchObject({ run: { status: 'pending', approval_needed: expect.anything() } });
  }); // prettier-ignore
});
