import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runLedger } from '../support/ledger-command.ts';
import { describeWithEngine } from '../support/engine.ts';
import { connect, MAIN, tempFolder, type Connection } from '../support/mcp.ts';
import { counted, counting, wholeLog } from '../support/numbered-log.ts';
import {
  describeWithOwnPostgres,
  ownPostgres,
  type OwnPostgresServer,
  type Place,
} from '../support/postgres.ts';
import { faultsOf } from '../support/recheck-chain.ts';
import { MARK, scriptWorkspace, trusted, type ScriptWorkspace } from '../support/script-workspace.ts';
import { verifyBundle as verifyAgain } from '../support/second-bundle-verifier.mjs';
import { makeKey, serve, visit, type TeamServer } from '../support/team-server.ts';
import { kill9, until } from '../support/traces.ts';

// prettier-ignore
const POLICY = [
  { name: 'guarded', when: { block: 'guarded' }, decision: 'approve' },
  { name: 'counted', when: { block: 'counted' }, decision: 'allow', limits: { per_hour: 5 } },
  { name: 'locked', when: { block: 'locked' }, decision: 'allow', lock: 'block' },
  { name: 'free', when: {}, decision: 'allow' },
];

describeWithOwnPostgres('a journal while the database of the ledger is away', () => {
  let server: OwnPostgresServer;
  let place: Place;
  let workspace: ScriptWorkspace;
  let folders: Awaited<ReturnType<typeof tempFolder>>[];
  let env: Record<string, string>;
  let team: TeamServer;
  /** Of a call that goes to the database in the instant in which it goes away. */
  let lost: ReturnType<Connection['call']>;
  let keys: { id: string; token: string }[];
  const servers: Connection[] = [];
  const runs: Record<string, string> = {};

  const home = (n: number): string => folders[n]!.path;
  const journal = (): string => join(home(0), 'journal');
  const rows = (sql: string): Promise<any[]> => server.query(sql.replaceAll('@', `${place.schema}.`));
  const open = async (n: number, more: Record<string, string> = {}): Promise<Connection> => {
    const one = await connect({ home: home(n), env: { ...env, ...more } });
    servers.push(one);
    return one;
  };
  const run = (one: Pick<Connection, 'call'>, block: string, more: object = {}) =>
    one.call('run_action', { workspace: 'scripts', block, action: 'go', wait_seconds: 30, ...more });
  const begun = async (one: Connection, block: string): Promise<string> => {
    const run_id: string = (await run(one, block, { wait_seconds: 0 })).data.run.id;
    await until(
      `output of ${block}`,
      async () => (await one.call('read_action_run_log', { run_id })).data.total_lines > 3,
    );
    return run_id;
  };
  const rules = (...before: object[]): void =>
    writeFileSync(
      join(home(3), 'policy.json'),
      JSON.stringify({ version: 1, rules: [...before, ...POLICY] }),
    );
  const journalOf = async (one: Connection): Promise<any> =>
    (await one.call('get_status')).data.ledger.journal;

  beforeAll(async () => {
    server = await ownPostgres();
    [place, folders] = [await server.place(), await Promise.all(['spool', 'else', 'team', 'rules'].map((name) => tempFolder(name)))];
    const counts = { go: `${MARK}\n${counting()}` };
    const marks = { go: `${MARK}; echo done` };
    workspace = await scriptWorkspace({
      before: counts, killed: counts, across: counts, free: marks, again: marks, guarded: marks, counted: marks, locked: marks,
      contained: counts, first: marks, held: counts, last: marks, closed: marks, lost: marks,
    });
    rules();
    const definition = join(workspace.path, 'workspace.poly');
    const steps = ['first', 'held', 'last'].map((block) => ({ name: block, block, action: 'go' }));
    const workflows = [{ name: 'release', steps }, { name: 'mixed', steps: [steps[0], { name: 'two', block: 'counted', action: 'go' }] }];
    writeFileSync(definition, JSON.stringify({ ...JSON.parse(readFileSync(definition, 'utf8')), workflows }));
    env = {
      ...trusted(workspace, 'local'), 
      POLYCRATE_MCP_RUN_MODE: 'policy',
      POLYCRATE_MCP_POLICY: join(home(3), 'policy.json'),
      POLYCRATE_MCP_DATABASE_URL: place.url,
      POLYCRATE_MCP_LEDGER_DOWN: 'spool',
    };
    keys = await Promise.all(['ada', 'eve'].map((name) => makeKey({ home: home(2), env, name, args: ['--role', 'runner'] })));
    team = await serve({ home: home(2), env });
    const first = await open(0);
    await (await visit({ url: team.url, token: keys[0]!.token })).call('get_status');
    runs['before'] = await begun(first, 'before');
    await until('its start', async () => (await rows("SELECT 1 FROM @runs WHERE status = 'running'")).length);
    await server.crash();
    lost = run(first, 'lost');
  }); // prettier-ignore
  afterAll(async () => {
    await Promise.all(
      ['before', 'killed', 'contained', 'across', 'held'].map((block) => workspace.enough(block)),
    );
    await team.end();
    await Promise.all(servers.map((one) => one.close().catch(() => undefined)));
    await server.stop();
    await Promise.all([workspace.remove(), ...folders.map((folder) => folder.remove())]);
  });

  it('is kept only by who is told to: else nothing runs', async () => {
    const strict = await open(1, { POLYCRATE_MCP_LEDGER_DOWN: 'refuse' });
    expect((await run(strict, 'free')).error).toMatchObject({ code: 'ledger_unavailable' });
    expect(readdirSync(home(1))).not.toContain('journal');
    expect(await workspace.written('marks/free')).toBe('');
  });

  it('takes what a rule allows, and every answer says what it rests on', async () => {
    const one = await open(0);
    const { data } = await run(one, 'free', { reason: 'the database restarts' });
    expect(data).toMatchObject({ finished: true, succeeded: true, log_tail: ['done'] });
    expect(data.warnings).toEqual([expect.stringContaining('the ledger cannot be asked, its database is away since')]);
    runs['free'] = data.run.id;
    const found = await one.call('search_action_runs', { workspace: 'scripts' });
    expect(found.data).toMatchObject({
      total: 1,
      coverage: [{ source: 'journal', missing: expect.stringContaining('every other run') }],
      warnings: [expect.stringContaining('away since')],
    });
    expect(await journalOf(one)).toMatchObject({ when_down: 'spool', away_since: expect.any(String), runs: 1, open: 0, last_merge: null });
    expect((await one.call('get_action_run', { run_id: runs['before'] })).error).toMatchObject({ code: 'ledger_unavailable' });
  }); // prettier-ignore

  it.each([
    ['guarded', {}, /wants an approval/],
    ['counted', {}, /wants runs to be counted/],
    ['locked', {}, /wants a lock/],
    ['again', { idempotency_key: 'k' }, /whether this idempotency_key was used before/],
  ])('refuses what only the database could decide about: %s', async (block, more, why) => {
    const { error } = await run(servers.at(-1)!, block, more);
    expect(error).toMatchObject({ code: 'refused', message: expect.stringMatching(why), next: expect.stringContaining('until the database is back') });
    expect(await workspace.written(`marks/${block}`)).toBe('');
  }); // prettier-ignore

  it('refuses a workflow with a step of which it is so, and plans it all the same', async () => {
    const one = servers.at(-1)!;
    const { error } = await one.call('run_workflow', { workspace: 'scripts', workflow: 'mixed' });
    expect(error).toMatchObject({ code: 'refused', message: expect.stringMatching(/^not run \(counted\): it wants runs to be counted/) });
    expect((await one.call('plan_action', { workspace: 'scripts', workflow: 'mixed' })).data.plan).toMatchObject({ steps: expect.any(Array) });
  }); // prettier-ignore

  it('goes by the rules that the ledger knows of', async () => {
    const closed = { name: 'closed', when: { block: 'closed' }, decision: 'deny' };
    rules(closed);
    const { data } = await run(servers.at(-1)!, 'closed');
    expect(data).toMatchObject({ succeeded: true });
    runs['closed'] = data.run.id;
    const fresh = await open(0);
    expect((await run(fresh, 'closed')).error).toMatchObject({ code: 'refused', message: expect.stringContaining('the ledger cannot be asked') });
    rules();
  }); // prettier-ignore

  it('keeps a block to the one run that was begun before', async () => {
    const { error } = await run(servers.at(-1)!, 'before');
    expect(error).toMatchObject({ code: 'already_active', details: { run_id: runs['before'] } });
    expect(await workspace.written('marks/before')).toBe('ran\n');
  });

  it('outlives the server that keeps it', async () => {
    const one = await open(0);
    runs['killed'] = await begun(one, 'killed');
    await kill9(one);
    const next = await open(0);
    expect((await run(next, 'killed')).error).toMatchObject({ code: 'already_active', details: { run_id: runs['killed'] } });
    await workspace.enough('killed');
    const { data } = await next.call('wait_for_action_run', { run_id: runs['killed'], wait_seconds: 40 });
    expect(data).toMatchObject({ finished: true, succeeded: true });
    const log = await wholeLog(next, runs['killed']);
    expect(log).toEqual(counted(Number(/^end (\d+)$/.exec(log.stdout.at(-1)!)![1])));
  }); // prettier-ignore

  describeWithEngine('with containers', () => {
    it('outlives the server that supervises in it', async () => {
      const docker = { POLYCRATE_MCP_EXECUTOR: 'docker' };
      const one = await open(0, docker);
      const run_id = (runs['contained'] = await begun(one, 'contained'));
      await kill9(one);
      const next = await open(0, docker);
      await next.call('get_status');
      await workspace.enough('contained');
      const { data } = await next.call('wait_for_action_run', { run_id, wait_seconds: 40 });
      expect(data).toMatchObject({ finished: true, succeeded: true });
      const log = await wholeLog(next, run_id);
      expect(log).toEqual(counted(Number(/^end (\d+)$/.exec(log.stdout.at(-1)!)![1])));
      expect(await workspace.written('marks/contained')).toBe('ran\n');
    });
  });

  it('is told of by the doctor', () => {
    const { stdout, status } = spawnSync(process.execPath, [MAIN, 'doctor'], { env: { ...process.env, ...env, POLYCRATE_MCP_HOME: home(0) }, encoding: 'utf8' });
    expect(stdout).toContain('the database of the ledger cannot be reached');
    expect(stdout).toMatch(/journal for when the database is away \(spool\): [34] runs to merge, 0 of them open/);
    expect(status).toBe(1);
  }); // prettier-ignore

  it('lets in who was known by a key, and tells others to come back', async () => {
    const ada = await visit({ url: team.url, token: keys[0]!.token });
    const { data } = await run(ada, 'again');
    expect(data).toMatchObject({ succeeded: true, run: { user: 'ada' } });
    runs['again'] = data.run.id;
    const stranger = await fetch(team.url, { method: 'POST', headers: { Authorization: `Bearer ${keys[1]!.token.slice(0, -2)}xx` } });
    expect([stranger.status, stranger.headers.get('retry-after')]).toEqual([503, '5']);
  }); // prettier-ignore

  it('never takes over a call that was sent to the database', async () => {
    expect((await lost).error).toMatchObject({ code: 'ledger_unavailable' });
    expect(await workspace.written('marks/lost')).toBe('');
  });

  it('goes on with what is open when the database is back, and merges the rest', async () => {
    const one = await open(0);
    const ended = Object.keys(runs).length - 2;
    runs['across'] = await begun(one, 'across');
    const flow = await one.call('run_workflow', { workspace: 'scripts', workflow: 'release', wait_seconds: 0 });
    const steps = async (): Promise<any[]> => (await one.call('get_action_run', { run_id: flow.data.run.id })).data.relations.steps;
    await until('the second step', async () => (await steps())[1].status === 'running');
    await server.start();
    const merged = await until('a merge', async () => {
      const { last_merge, ...standing } = await journalOf(one);
      // What is merged leaves the journal a moment later.
      return last_merge && standing.runs === standing.open && { ...standing, last_merge };
    });
    expect(merged).toMatchObject({ away_since: null, runs: 3, open: 3, last_merge: { runs: ended + 1 } });
    expect((await run(one, 'across')).error).toMatchObject({ code: 'already_active', details: { run_id: runs['across'] } });
    const partly = await one.call('search_action_runs', { workspace: 'scripts' });
    expect(partly.data.coverage).toContainEqual(expect.objectContaining({ source: 'journal', missing: expect.stringContaining('not merged yet') }));
    const shown = await one.call('get_action_run', { run_id: runs['across'] });
    expect(shown.data).toMatchObject({ run: { status: 'running' }, warnings: [expect.stringContaining('until it has ended and is merged')] });
    await workspace.enough('before');
    expect((await one.call('wait_for_action_run', { run_id: runs['before'], wait_seconds: 40 })).data).toMatchObject({ succeeded: true });
    await workspace.enough('held');
    const whole = await one.call('wait_for_action_run', { run_id: flow.data.run.id, wait_seconds: 40 });
    expect(whole.data).toMatchObject({ finished: true, succeeded: true });
    for (const { name, run_id } of await steps()) runs[name] = run_id;
    const { data } = await one.call('cancel_action_run', { run_id: runs['across'] });
    expect(data).toMatchObject({ finished: true, run: { status: 'cancelled' } });
    await until('the last merge', async () => (await journalOf(one)).runs === 0);
  }); // prettier-ignore

  it('is found in the ledger from everywhere, with its proof', async () => {
    const other = await open(1);
    const { data } = await other.call('search_action_runs', { workspace: 'scripts', limit: 50 });
    expect(data.runs.map(({ id }: { id: string }) => id).sort()).toEqual(Object.values(runs).sort());
    expect(data).not.toHaveProperty('warnings');
    expect(await workspace.written('marks/lost')).toBe('');
    const free = (await other.call('get_action_run', { run_id: runs['free'] })).data;
    expect(free.run).toMatchObject({ reason: 'the database restarts', status: 'success', source: 'ingest', trigger: 'mcp' });
    const folder = join(journal(), 'merged');
    const key = join(journal(), 'checkpoint-key.pub.pem');
    const bundles = readdirSync(folder);
    for (const name of bundles) {
      expect(runLedger(home(0), ['verify-bundle', join(folder, name), '--key', key])).toMatchObject({ status: 0 });
      expect(verifyAgain(join(folder, name), readFileSync(key, 'utf8'))).toEqual([]);
      expect(readFileSync(join(folder, name, 'runs.jsonl'), 'utf8')).not.toContain('the database restarts');
    }
    expect(free.proof.elsewhere).toMatchObject({ ledger: expect.any(String), bundle: expect.stringMatching(/^[0-9a-f]{64}$/) });
    // The log lies with the machine that ran it, as of any run.
    expect((await servers[0]!.call('read_action_run_log', { run_id: runs['free'] })).data.lines).toMatchObject([{ text: 'done' }]);
    const trail = await other.call('search_trail', { tool: 'run_action', limit: 100 });
    expect(trail.data.calls.filter(({ run_id }: { run_id: string }) => run_id === runs['free'])).toMatchObject([{ outcome: 'launched' }]);
  }); // prettier-ignore

  it('is merged once, whatever is forgotten of it', async () => {
    const state = async () => [
      ...(await rows("SELECT kind, count(*)::int FROM @events WHERE kind IN ('run_imported', 'bundle_imported') GROUP BY kind ORDER BY kind")),
      ...(await rows('SELECT count(*)::int - count(DISTINCT id)::int AS twice FROM @calls')),
    ];
    const before = await state();
    expect(before).toEqual([expect.objectContaining({ kind: 'bundle_imported' }), { kind: 'run_imported', count: Object.keys(runs).length }, { twice: 0 }]);
    await Promise.all(servers.map((one) => one.close().catch(() => undefined)));
    rmSync(join(journal(), 'merges.json'), { force: true });
    // Also who does not keep one any more merges what is there.
    const strict = await open(0, { POLYCRATE_MCP_LEDGER_DOWN: 'refuse' });
    await until('everything merged', async () => (await journalOf(strict)).runs === 0);
    expect(await state()).toEqual(before);
    const verified = runLedger(home(0), ['verify', '--json'], env);
    expect(JSON.parse(verified.stdout)).toMatchObject({ result: 'not_provable', findings_total: 0 });
    expect(faultsOf(await rows('SELECT * FROM @events ORDER BY seq'), await rows('SELECT * FROM @event_private'))).toEqual([]);
  }); // prettier-ignore
});
