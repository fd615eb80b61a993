import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deskOn } from '../support/desk.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import type { Connection } from '../support/mcp.ts';
import { remoteHistory, remoteRun, type RemoteHistory } from '../support/remote-history.ts';
import { makeKey } from '../support/team-server.ts';
import { until } from '../support/until.ts';

const SWITCH = 'POLYCRATE_MCP_REMOTE_RETRIGGER';
const BLOCKS = ['app', 'flaky', 'lossy', 'void', 'slow', 'asked', 'busy'];

let there: RemoteHistory;
let client: Connection;
/** Our ids of the runs that others reported, by block. */
const past: Record<string, string> = {};
let nowhere: string;

const again = (block: string, more: Record<string, unknown> = {}, by = client) =>
  by.call('retrigger_action_run', { run_id: past[block], mode: 'remote', wait_seconds: 30, ...more });
const record = async (run_id: string, by = client): Promise<any> =>
  (await by.call('get_action_run', { run_id })).data.run;
const itemsOf = async (run_id: string) =>
  (await there.server.items()).filter(({ reason }) => reason?.includes(run_id));

beforeAll(async () => {
  there = await remoteHistory({ settings: { [SWITCH]: 'true' } });
  const elsewhere = BLOCKS.map((name) => ({ name, version: '3.0.0', managed_by: 'api' }));
  await there.server.seed('tests', { elsewhere });
  await there.server.addRuns([
    ...[...BLOCKS, 'web'].map((block) => remoteRun({ block, block_version: '2.1.0' })),
    remoteRun({ block: 'asked', action: 'wipe' }),
    remoteRun({ workspace: 'scripts', block: 'db', action: 'restart' }),
  ]);
  await there.server.settings({ item: { log_stdout: 'deployed\ntoken=ghp_0123456789abcdefghijABCDEFGHIJ012345\n' } });
  client = await there.serve();
  const found = await until(() => client.call('search_action_runs'), ({ data }) => data.total === BLOCKS.length + 3);
  for (const { id, block, action } of found.data.runs) past[action === 'wipe' ? 'wipe' : block] = id;
  // Never arrives, and is looked for so long that it goes on beside all that follows.
  await there.server.faults([{ kind: 'reset', match: { method: 'POST', path: 'rollout-items' } }]);
  nowhere = (await again('void', { wait_seconds: 0 })).data.run.id;
  await until(() => there.server.requests(), (seen) => seen.some(({ method }) => method === 'POST'));
}); // prettier-ignore
afterAll(() => there.end());

describe('a run that the Polycrate API executes again', () => {
  it('is offered where its workspace is not here, planned, executed once, and recorded as a run of ours', async () => {
    const { error } = await client.call('retrigger_action_run', { run_id: past['app'] });
    expect(error).toMatchObject({ code: 'unknown_name', next: expect.stringContaining("mode: 'remote'") });
    const { plan } = (await client.call('plan_action', { retrigger_of: past['app'], mode: 'remote' })).data;
    expect(plan).toMatchObject({
      executor: 'remote', endpoint: 'default', workspace: 'elsewhere', block: 'app', action: 'deploy', managed_by: 'api',
      drift: [{ what: 'block_version', recorded: '2.1.0', now: '3.0.0' }],
      policy: { decision: 'allow' },
    });
    const same = { plan_digest: plan.digest, idempotency_key: 'once', reason: 'as Robin did' };
    const { data } = await again('app', same);
    expect(data).toMatchObject({ succeeded: true, launched: true, log_tail: ['deployed', expect.not.stringContaining('ghp_')] });
    const run = await record(data.run.id);
    expect(run).toMatchObject({
      source: 'ledger', retrigger_of: past['app'], trigger: 'retrigger', reason: 'as Robin did', exit_code: 0, block_version: '3.0.0',
      executor: { kind: 'remote', runner: 'default' }, api: { endpoint: 'default', submission: null },
      principal: { kind: 'os' }, log: { lines: 2 },
    });
    const [item, ...more] = await itemsOf(run.id);
    expect(more).toEqual([]);
    expect(item).toMatchObject({ id: run.executor.container, action: 'deploy', run: run.api.action_run_id });
    expect((await again('app', same)).data).toMatchObject({ replayed: true, run: { id: run.id } });
    // The API's own record of it comes back with the mirror, and is this very run.
    await until(() => client.call('search_action_runs', { block: 'web' }), ({ data }) => data.coverage.some(({ source, runs }: any) => source === 'api' && runs > BLOCKS.length + 3));
    expect((await client.call('search_action_runs', { block: 'app' })).data.runs.map(({ id }: any) => id)).toEqual([run.id, past['app']]);
    expect((await record(run.api.action_run_id)).id).toBe(run.id);
  }); // prettier-ignore

  it('fails as it failed there', async () => {
    await there.server.settings({ item: { exit_code: 3, log_stderr: 'no disk' } });
    const { data } = await again('flaky');
    expect(data).toMatchObject({ succeeded: false, launched: true, run: { status: 'failed', exit_code: 3 } });
    expect(data.log_tail).toContain('no disk');
    await there.server.settings({ item: { exit_code: 0, log_stderr: null } });
  });

  it('that is skipped was not executed', async () => {
    const { plan } = (await client.call('plan_action', { retrigger_of: past['web'], mode: 'remote' })).data;
    expect(plan.warnings.join()).toMatch(/managed by cli.*usually skipped/);
    const { data } = await again('web');
    expect(data).toMatchObject({ succeeded: false, launched: false, next: expect.stringContaining('nothing was executed') });
    expect(data.run).toMatchObject({ status: 'cancelled', status_reason: expect.stringContaining('skipped item') });
  }); // prettier-ignore

  it('is found again when the answer gets lost, and not asked for twice', async () => {
    await there.server.requests();
    await there.server.faults([{ kind: 'lost_reply', match: { method: 'POST', path: 'rollout-items' } }]);
    const { data } = await again('lossy');
    expect(data).toMatchObject({ succeeded: true });
    expect(await itemsOf(data.run.id)).toHaveLength(1);
    const posts = (await there.server.requests()).filter(({ method, path }) => method === 'POST' && path.includes('rollout-items'));
    expect(posts).toHaveLength(1);
  }); // prettier-ignore

  it('goes on when the server is killed; it cannot be stopped from here, and nothing else is asked for beside it', async () => {
    await there.server.settings({ item: { hold: true } });
    const other = await there.serve();
    const { run } = (await again('slow', { wait_seconds: 0 }, other)).data;
    const open = await until(() => record(run.id), ({ status }) => status === 'running');
    const cancelled = await client.call('cancel_action_run', { run_id: run.id });
    expect(cancelled.error).toMatchObject({ code: 'refused', message: expect.stringContaining('no operation that stops it'), details: { url: open.api.url } });
    expect((await again('slow')).error).toMatchObject({ code: 'already_active' });
    process.kill(other.pid, 'SIGKILL');
    await there.server.settings({ item: { hold: false } });
    const next = await there.serve();
    const ended = await until(() => record(run.id, next), ({ status }) => status !== 'running');
    expect(ended).toMatchObject({ status: 'success', exit_code: 0, api: { action_run_id: open.api.action_run_id } });
    expect(await itemsOf(run.id)).toHaveLength(1);
  }); // prettier-ignore

  it('needs a human where runs do, also for what the action asks; refuses a time limit, and a block that is busy there', async () => {
    const asked: string[] = [];
    const answer = { action: 'accept', content: { approve: true } } as const;
    const onAsk = ({ message }: { message: string }) => (asked.push(message), answer);
    const careful = await there.serve({ POLYCRATE_MCP_RUN_MODE: 'ask' }, { onAsk });
    expect((await again('asked', {}, careful)).data).toMatchObject({ succeeded: true, run: { approval: { outcome: 'approved' } } });
    const trusting = await there.serve({}, { onAsk });
    expect((await again('wipe', {}, trusting)).data).toMatchObject({ succeeded: true });
    expect(asked).toEqual([
      expect.stringMatching(/^Have this action run again by the Polycrate API\?\n[^]*tests\/elsewhere.*not on this host\nBlock: asked 3\.0\.0/),
      expect.stringContaining('The action asks: Really wipe it?'),
    ]);
    expect((await again('app', { timeout_seconds: 5 })).error).toMatchObject({ code: 'invalid_argument' });
    expect((await again('db')).error).toMatchObject({ code: 'refused', next: expect.stringContaining('pinned') });
    await there.server.addRuns([remoteRun({ block: 'busy', status: 'running', exit_code: null, finished_at: null })]);
    expect((await again('busy')).error).toMatchObject({ code: 'already_active', message: expect.stringContaining('open run') });
  }); // prettier-ignore

  it('waits for others where a rule wants them, and is asked for once; what the API has changed meanwhile is asked about again', async () => {
    const policy = join(there.home, 'policy.json');
    writeFileSync(policy, JSON.stringify({ version: 1, rules: [{ name: 'others', when: { executor: 'remote' }, decision: 'approve', approve: { strength: 'key' } }] }));
    const { token } = await makeKey({ home: there.home, name: 'Bea', args: ['--role', 'approver'] });
    const ruled = await there.serve({ POLYCRATE_MCP_RUN_MODE: 'policy', POLYCRATE_MCP_POLICY: policy });
    const records = openSqlite(there.home);
    const desk = deskOn(records, []);
    const { run } = (await again('app', {}, ruled)).data;
    expect(run).toMatchObject({ status: 'pending', approval_needed: { rule: 'others', shown: expect.arrayContaining([expect.stringContaining('By: the Polycrate API default')]) } });
    expect((await again('app', {}, ruled)).error).toMatchObject({ code: 'already_active', details: { run_id: run.id } });
    await there.server.seed('tests', { elsewhere: [{ name: 'app', version: '3.1.0', managed_by: 'api' }] });
    await desk.say(run.id, token);
    await until(() => record(run.id, ruled), ({ approval_request }) => approval_request.again !== null);
    expect(await record(run.id, ruled)).toMatchObject({ status: 'pending', approved_at: null, block_version: '3.1.0' });
    expect(await itemsOf(run.id)).toEqual([]);
    await desk.say(run.id, token);
    const ended = await until(() => record(run.id, ruled), ({ status }) => status !== 'pending' && status !== 'running');
    expect(ended).toMatchObject({ status: 'success', launched: true, approval: { by: 'Bea' }, executor: { kind: 'remote' }, retrigger_of: past['app'] });
    expect(await itemsOf(run.id)).toHaveLength(1);
    await records.close();
  }); // prettier-ignore

  it('is not asked for without the switch, which the answers name', async () => {
    const plain = await there.serve({ [SWITCH]: 'false' });
    const refused = await plain.call('retrigger_action_run', { run_id: past['app'], mode: 'current' });
    expect(refused.error).toMatchObject({ code: 'unknown_name', next: expect.stringContaining(`${SWITCH}=true`) });
    const before = (await there.server.items()).length;
    expect((await again('app', {}, plain)).error).toMatchObject({ code: 'refused', next: expect.stringContaining(SWITCH) });
    expect(await there.server.items()).toHaveLength(before);
  }); // prettier-ignore

  it('is unknown if the answer got lost and nothing there tells of it', async () => {
    const run = await until(() => record(nowhere), ({ status }) => status !== 'pending');
    expect(run).toMatchObject({ status: 'unknown', status_reason: expect.stringContaining('may have been executed or not') });
    expect(await itemsOf(nowhere)).toEqual([]);
  }); // prettier-ignore
});
