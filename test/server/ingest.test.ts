import { createHash, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogFiles } from '../../src/adapters/log-files/index.ts';
import { apiClient, type ApiAnswer } from '../support/api-client.ts';
import { tempFolder } from '../support/mcp.ts';
import { command, makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Plain CLIs report their runs to `serve`, as to a Polycrate API.

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: TeamServer;
let ask: ReturnType<typeof apiClient>;
let admin: Visitor;
const tokens: Record<string, string> = {};
const LOGGED = randomUUID();

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const path = await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    rest: { labels: { environment: 'production' } },
    blocks: { web: { version: '1.0.0', kind: 'k8sapp', config: { db_password: 'Kh7-known-here-9' }, actions: [script('hello', 'echo hello'), script('hold', 'sleep 300')] } },
  });
  await mkdir(join(path, '.logs', '2026-09-01'), { recursive: true });
  const event = {
    workspace: 'shop', block: 'web', action: 'logged', date: '2026-09-01T10:00:00Z', exit_code: 0, transaction: LOGGED, user_name: 'bea',
    user_email: 'bea@example.org', output: 'as it was logged', version: '0.23.3', labels: { 'monk.event.class': 'polycrate', 'monk.event.level': 'Info' }, command: 'polycrate run',
  };
  await writeFile(join(path, '.logs', '2026-09-01', `${LOGGED}.yml`), JSON.stringify(event));
  server = await serve({ home: home.path, env: { ...localSettings(root.path), POLYCRATE_MCP_RATE_LIMIT: 'none' } });
  for (const [name, ...args] of [
    ['admin', '--role', 'admin'], ['ci', '--role', 'runner', '--for', 'acme'], ['laptop', '--role', 'runner', '--for', 'acme'],
    ['viewer', '--role', 'reader', '--for', 'acme'], ['globex', '--role', 'runner', '--for', 'globex'],
  ] as [string, ...string[]][]) {
    tokens[name] = (await makeKey({ home: home.path, name, args })).token;
  }
  ask = apiClient(server.url);
  admin = await visit({ url: server.url, token: tokens['admin']! });
}); // prettier-ignore
afterAll(async () => {
  await admin.close();
  expect(await server.end()).toBe(0);
  // What came by reports is vouched for like everything else.
  const kept = join(root.path, 'checkpoint.json');
  await command({ home: home.path, args: ['ledger', 'checkpoint', '--out', kept] });
  expect(await command({ home: home.path, args: ['ledger', 'verify', '--anchor', kept] })).toContain('SOUND');
  await Promise.all([home.remove(), root.remove()]);
});

const as = (who: string) => tokens[who]!;
const place = (more: object = {}) => ({
  organization: 'acme',
  workspace: 'shop',
  block: 'db',
  action: 'restart',
  ...more,
});
const start = (more: object = {}, who = 'ci'): Promise<ApiAnswer> =>
  ask({ method: 'POST', path: '/api/v1/cli/action-runs/start/', token: as(who), body: place(more) });
const finish = (id: string, more: object = {}, who = 'ci'): Promise<ApiAnswer> =>
  ask({
    method: 'POST',
    path: `/api/v1/cli/action-runs/${id}/finish/`,
    token: as(who),
    body: { exit_code: 0, ...more },
  });
const report = (more: object = {}, who = 'ci'): Promise<ApiAnswer> =>
  ask({
    method: 'POST',
    path: '/api/v1/cli/action-runs/',
    token: as(who),
    body: place({
      exit_code: 0,
      started_at: '2026-10-01T10:00:00Z',
      finished_at: '2026-10-01T10:00:05Z',
      ...more,
    }),
  });
const record = async (run_id: string): Promise<any> => (await admin.call('get_action_run', { run_id })).data;

it('makes of a start and a finish one run of the history, redacted, with what was proved and what was claimed', async () => {
  const started_at = '2026-10-02T14:00:00+02:00';
  const started = await start({ block: 'two-phase', block_version: '1.4.3', started_at, block_config: { api_token: 'Zx9-told-by-config-1' } });
  expect(started).toMatchObject({ status: 201, body: { success: true, status: 'running' } });
  const id: string = started.body.action_run_id;
  expect(started.body.action_run_url).toBe(server.at(`/api/v1/action-runs/${id}/`).href);
  expect((await record(id)).run).toMatchObject({ status: 'running', source: 'ingest', started_at: '2026-10-02T12:00:00.000Z', finished_at: null });
  const output = { stdout: 'token Zx9-told-by-config-1\nstill \u001b[31mred\u001b[0m', stderr: 'pass Kh7-known-here-9' };
  const metadata = { hostname: 'laptop-7', user: 'bea', version: '0.37.1', commit_sha: 'c0ffee1' };
  const ended = await finish(id, { exit_code: 2, finished_at: '2026-10-02T12:00:09Z', ...output, metadata });
  expect(ended).toMatchObject({ status: 200, body: { success: true, action_run_id: id, status: 'failed' } });
  const { run, proof } = await record(id);
  expect(run).toMatchObject({
    id, source: 'ingest', organization: 'acme', workspace: 'shop', block: 'two-phase', block_version: '1.4.3', action: 'restart', status: 'failed', exit_code: 2,
    duration_ms: 9000, hostname: 'laptop-7', os_user: 'bea', cli_version: '0.37.1', workspace_commit: 'c0ffee1', principal: { kind: 'key', display: 'ci' },
    environment: { value: 'production', origin: 'label' }, log: { lines: 3 }, trigger: 'cli', launched: true,
  });
  expect(run.evidence.authenticated).toEqual(['principal']);
  expect(run.evidence.claimed).toEqual(expect.arrayContaining(['os_user', 'hostname', 'exit_code', 'started_at', 'log']));
  // Two rows, each with its page in the chain.
  expect(proof.events.length).toBe(2);
  const lines = (await admin.call('read_action_run_log', { run_id: id })).data.lines;
  expect(lines.map(({ stream, text }: any) => `${stream} ${text}`)).toEqual(['stdout token [secret]', 'stdout still red', 'stderr pass [secret]']);
  const digest = createHash('sha256');
  for await (const bytes of createLogFiles({ home: home.path, maxBytes: 1e6 }).bytes(id)) digest.update(bytes);
  expect(run.log.sha256).toBe(digest.digest('hex'));
  const found = await admin.call('search_action_runs', { source: 'ingest', block: 'two-phase', user: 'bea' });
  expect(found.data).toMatchObject({ total: 1, runs: [{ id, user: 'ci', host: 'laptop-7' }] });
  expect(found.data.coverage).toContainEqual(expect.objectContaining({ source: 'ingest', endpoint: 'reports' }));
  const { data: status } = await admin.call('get_status');
  expect(JSON.stringify(status.sources)).toContain('reported to this one');
}); // prettier-ignore

it('lets one run of a block be open, and another one beside it only by force', async () => {
  const first = (await start({ block: 'busy' })).body.action_run_id as string;
  const refused = await start({ block: 'busy', action: 'other' }, 'laptop');
  expect(refused).toMatchObject({
    status: 409,
    body: { success: false, error: 'action_run_already_running', conflict: { action_run_id: first, action: 'restart', status: 'running' } },
  });
  // Another block, and the same block of another workspace, are other things.
  expect((await start({ block: 'busy', workspace: 'till' })).status).toBe(201);
  const second = (await start({ block: 'busy', action: 'other', force: true }, 'laptop')).body.action_run_id as string;
  expect((await record(first)).run).toMatchObject({ status: 'cancelled', cancelled_by: 'laptop' });
  // Whoever reported the first one may still tell what became of it.
  expect((await finish(first, { exit_code: 0 })).body).toMatchObject({ status: 'success' });
  expect((await finish(second, { exit_code: 1, status: 'cancelled' }, 'laptop')).body).toMatchObject({ status: 'cancelled' });
  expect((await record(second)).run).toMatchObject({ status: 'cancelled', exit_code: 1 });
  // Many at once: one of them gets the block.
  const racing = await Promise.all(Array.from({ length: 20 }, () => start({ block: 'raced' })));
  expect(racing.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(1);
}); // prettier-ignore

it('is in the way of what runs here and the other way round, and leaves that alone when it is forced', async () => {
  const { data } = await admin.call('run_action', {
    workspace: 'shop',
    block: 'web',
    action: 'hold',
    wait_seconds: 0,
  });
  expect((await start({ block: 'web' })).body.conflict.action_run_id).toBe(data.run.id);
  const forced = (await start({ block: 'web', force: true })).body.action_run_id as string;
  expect(['pending', 'running']).toContain((await record(data.run.id)).run.status);
  expect((await finish(data.run.id)).status).toBe(403);
  await admin.call('cancel_action_run', { run_id: data.run.id });
  const hello = { workspace: 'shop', block: 'web', action: 'hello', wait_seconds: 30 };
  const refused = await admin.call('run_action', hello);
  expect(refused.error).toMatchObject({ code: 'already_active', details: { run_id: forced } });
  expect((await admin.call('run_action', { ...hello, allow_concurrent: true })).data.succeeded).toBe(true);
  await finish(forced);
  expect((await admin.call('run_action', hello)).data.succeeded).toBe(true);
});

it('takes what is repeated once', async () => {
  const run_id = randomUUID();
  const labels = { block: 'again', block_labels: { polycrate_mcp_run: run_id } };
  const [one, two] = await Promise.all([start(labels), start(labels)]);
  expect(two.body).toEqual(one.body);
  const metadata = { polycrate_mcp: { run_id, status: 'success', exit_code: 0, host: 'ci-1' } };
  const ends = await Promise.all([1, 2, 3].map(() => finish(one.body.action_run_id, { stdout: 'done', metadata })));
  expect(ends.map(({ status, body }) => [status, body.status])).toEqual(Array(3).fill([200, 'success']));
  expect(await start(labels)).toMatchObject({ status: 201, body: { action_run_id: one.body.action_run_id, status: 'success' } });
  // Another end of the same run is none.
  expect(await finish(one.body.action_run_id, { exit_code: 3 })).toMatchObject({ status: 409, body: { errors: [{ code: 'conflict' }] } });
  const whole = { block: 'whole', metadata: { transaction: randomUUID(), hostname: 'ci-2' }, stdout: 'a\nb' };
  const [first, again] = [await report(whole), await report(whole)];
  expect(again.body).toEqual(first.body);
  expect((await report({ ...whole, exit_code: 9 })).status).toBe(409);
  expect((await record(whole.metadata.transaction)).run).toMatchObject({ id: first.body.action_run_id, log: { lines: 2 } });
  expect((await record(run_id)).run.id).toBe(one.body.action_run_id);
  expect((await admin.call('search_action_runs', { block: ['again', 'whole'] })).data.total).toBe(2);
}); // prettier-ignore

it('knows that the logs of the CLI and a report tell of one run', async () => {
  await admin.call('search_action_runs', { source: 'logs' });
  const told = await report({ block: 'web', action: 'logged', started_at: '2026-09-01T10:00:00Z', finished_at: '2026-09-01T10:00:04Z', metadata: { transaction: LOGGED }, stdout: 'as it was reported' });
  const { run } = await record(LOGGED);
  expect(run).toMatchObject({ id: told.body.action_run_id, source: 'ingest', principal: { display: 'ci' } });
  expect(run.aliases.map(({ source }: any) => source).sort()).toEqual(['cli', 'ingest', 'logs']);
  expect((await admin.call('search_action_runs', { block: 'web', action: 'logged' })).data.total).toBe(1);
  expect((await admin.call('read_action_run_log', { run_id: LOGGED })).data.lines[0].text).toBe('as it was reported');
}); // prettier-ignore

describe('who may what', () => {
  it('tells who has no token, and what a reader may not', async () => {
    const bare = await ask({ path: '/api/v1/action-runs/' });
    expect(bare).toMatchObject({
      status: 401,
      body: { type: 'client_error', errors: [{ code: 'not_authenticated', attr: null }] },
    });
    expect(bare.headers.get('www-authenticate')).toContain('Bearer');
    expect(
      (await ask({ path: '/api/v1/action-runs/', token: 'pmk_000000000000_x' })).body.errors[0].code,
    ).toBe('authentication_failed');
    expect(await start({}, 'viewer')).toMatchObject({
      status: 403,
      body: { errors: [{ code: 'permission_denied' }] },
    });
  });

  it('has no places and runs of other tenants', async () => {
    const id = (await start({ block: 'private' })).body.action_run_id as string;
    const globex = (path: string): Promise<ApiAnswer> => ask({ path, token: as('globex') });
    expect((await start({ block: 'private' }, 'globex')).status).toBe(404);
    expect((await finish(id, {}, 'globex')).status).toBe(404);
    expect((await finish(randomUUID(), {}, 'globex')).body).toEqual((await finish(id, {}, 'globex')).body);
    expect((await globex(`/api/v1/action-runs/${id}/`)).status).toBe(404);
    expect((await globex('/api/v1/action-runs/')).body).toMatchObject({ count: 0, results: [] });
    for (const kind of ['organizations', 'workspaces', 'blocks']) {
      const [one] = (await ask({ path: `/api/v1/${kind}/`, token: as('viewer') })).body.results;
      expect((await globex(`/api/v1/${kind}/${one.id}/`)).status).toBe(404);
      expect((await globex(`/api/v1/${kind}/`)).body.count).toBe(0);
      expect((await globex(`/api/v1/action-runs/?${kind}=${one.id}`)).body.count).toBe(0);
    }
    // Whoever claims to speak of a run of another tenant neither changes it nor learns that it is there.
    const mine = { organization: 'globex', block: 'private', block_labels: { polycrate_mcp_run: id } };
    const claimed = (await start(mine, 'globex')).body.action_run_id as string;
    expect(claimed).not.toBe(id);
    expect((await globex(`/api/v1/action-runs/${claimed}/`)).body.block_labels).toBeNull();
    expect((await record(claimed)).run).not.toHaveProperty('possible_duplicate_of');
    expect((await record(id)).run).toMatchObject({
      organization: 'acme',
      status: 'running',
      aliases: [{ source: 'ingest' }],
    });
    // Nor does a colleague's key replace what another one told.
    expect((await finish(id, {}, 'laptop')).body.errors[0]).toMatchObject({ code: 'permission_denied' });
    expect((await finish(id, {}, 'admin')).status).toBe(200);
  });
});

describe('bad input', () => {
  const post = (body: unknown, path = 'start/'): Promise<ApiAnswer> =>
    ask({ method: 'POST', path: `/api/v1/cli/action-runs/${path}`, token: as('ci'), body, bad: true });

  it('names each member that is wrong', async () => {
    const { status, body } = await post({ organization: 'a/b', workspace: '', block: null, started_at: 'yesterday', force: 'yes', block_version: 7 });
    expect([status, body.type]).toEqual([400, 'validation_error']);
    expect(Object.fromEntries(body.errors.map(({ attr, code }: any) => [attr, code]))).toEqual({
      organization: 'invalid', workspace: 'blank', block: 'null', action: 'required', started_at: 'invalid', force: 'invalid', block_version: 'invalid',
    });
    expect((await post([])).body.errors).toHaveLength(1);
    expect((await post({ exit_code: 1.5, status: 'success' }, `${randomUUID()}/finish/`)).body.errors.map(({ attr, code }: any) => [attr, code])).toEqual([['exit_code', 'invalid'], ['status', 'invalid_choice']]);
    for (const name of ['../x', '-x', 'a\u0000b', 'x'.repeat(300)]) expect((await post(place({ block: name }))).status).toBe(400);
    expect((await post(place({ block_labels: { long: 'x'.repeat(70_000) } }))).body.errors[0].attr).toBe('block_labels');
    const query = async (text: string) => (await ask({ path: `/api/v1/action-runs/?${text}`, token: as('ci'), bad: true })).body;
    expect((await query('status=great')).errors[0]).toMatchObject({ code: 'invalid_choice', attr: 'status' });
    expect((await query('blocks=db')).errors[0]).toMatchObject({ code: 'invalid', attr: 'blocks' });
    expect((await query('page_size=many')).errors[0].attr).toBe('page_size');
    for (const page of ['0', '-1', 'last', '99999999999']) expect((await query(`page=${page}`)).errors[0]).toEqual({ code: 'not_found', detail: 'Invalid page.', attr: null });
  }); // prettier-ignore

  it('refuses what is no JSON, too deep, too large, or sent in another way', async () => {
    const at = server.at('/api/v1/cli/action-runs/start/');
    const send = async (
      body: string,
      type = 'application/json',
      method = 'POST',
    ): Promise<[number, string]> => {
      const answer = await fetch(at, {
        method,
        headers: { Authorization: `Bearer ${as('ci')}`, 'Content-Type': type },
        body,
      });
      return [answer.status, ((await answer.json()) as any).errors[0].code];
    };
    expect(await send('{')).toEqual([400, 'parse_error']);
    expect(await send(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)).toEqual([400, 'parse_error']);
    expect(await send('a=1', 'application/x-www-form-urlencoded')).toEqual([415, 'unsupported_media_type']);
    expect(await send('{}', 'application/json', 'PUT')).toEqual([405, 'method_not_allowed']);
    expect((await ask({ path: '/api/v1/activities', token: as('ci') })).body.errors[0].detail).toContain(
      'slash',
    );
    const large = await send(JSON.stringify(place({ stdout: 'x'.repeat(17 * 1024 * 1024) }))).catch(
      () => 'the connection was closed',
    );
    expect([[413, 'too_large'], 'the connection was closed']).toContainEqual(large);
    // What was left unread is nobody else's request.
    expect(await send('{')).toEqual([400, 'parse_error']);
  });

  it('leaves in the trail whose report was refused and why, and nothing else of it', async () => {
    const block = 'refusals';
    const { body } = await start({ block });
    const id = body.action_run_id as string;
    await start({ block, block_config: { token: 'Qy4-told-by-config-2' } }, 'laptop');
    await start({ block }, 'viewer');
    await start({ block }, 'globex');
    await post(place({ block, action: '' }));
    await finish(id, { stdout: 'Qy4-in-the-output' }, 'laptop');
    await finish(id);
    await finish(id, { exit_code: 4 });
    await ask({ method: 'POST', path: '/api/v1/cli/action-runs/start/', body: place({ block }) });
    const { data } = await admin.call('search_trail', { tool: 'report', during: 'today', limit: 7 });
    const about = data.calls.filter((call: any) => JSON.stringify(call.arguments).match(/refusals/) ?? call.arguments.address.includes(id));
    expect(about.reverse().map(({ principal, outcome, code, run_id }: any) => [principal, outcome, code, run_id])).toEqual([
      ['laptop', 'refused', 'already_active', id],
      ['viewer', 'refused', 'refused', null],
      ['globex', 'refused', 'unknown_name', null],
      ['ci', 'refused', 'invalid_argument', null],
      ['laptop', 'refused', 'refused', null],
      ['ci', 'refused', 'refused', null],
    ]);
    expect(JSON.stringify(data)).not.toContain('Qy4');
  }); // prettier-ignore
});

it('is read as a Polycrate API: names to ids, filters, pages', async () => {
  for (let n = 0; n < 7; n += 1) await report({ workspace: 'paged', block: `block-${n % 2}`, started_at: `2026-10-0${n + 1}T10:00:00Z`, finished_at: `2026-10-0${n + 1}T10:01:00Z`, exit_code: n % 3 });
  const get = async (path: string) => (await ask({ path: `/api/v1/${path}`, token: as('viewer') })).body;
  const [workspace] = (await get('workspaces/?name_exact=paged&organization_name=acme')).results;
  const [block] = (await get(`blocks/?name_exact=block-1&workspaces=${workspace.id}`)).results;
  expect(await get(`workspaces/${workspace.id}/`)).toMatchObject({ display_name: 'paged', blocks: [{ name: 'block-0' }, { name: 'block-1' }] });
  expect(await get(`blocks/${block.id}/`)).toMatchObject({ name: 'block-1', workspace: { name: 'paged' }, config: null });
  const [web] = (await get('blocks/?name_exact=web')).results;
  expect(await get(`blocks/${web.id}/`)).toMatchObject({ version: '1.0.0', kind: 'k8sapp', config: null, actions: [{ name: 'hello' }, { name: 'hold' }] });
  const seen: string[] = [];
  let path: string | null = `action-runs/?workspaces=${workspace.id}&page_size=3`;
  const pages: any[] = [];
  while (path !== null) {
    const page = await get(path);
    pages.push(page);
    seen.push(...page.results.map((run: any) => run.started_at.slice(0, 10)));
    path = page.next && new URL(page.next).href.split('/api/v1/')[1]!;
  }
  expect(seen).toEqual([7, 6, 5, 4, 3, 2, 1].map((day) => `2026-10-0${day}`));
  expect(pages.map(({ count, previous }) => [count, previous !== null])).toEqual([[7, false], [7, true], [7, true]]);
  // A page that nobody came to by turning pages is the same one.
  await report({ workspace: 'paged', block: 'block-0', started_at: '2026-10-08T10:00:00Z', finished_at: '2026-10-08T10:01:00Z' });
  const far = await get(`action-runs/?workspaces=${workspace.id}&page_size=3&page=3`);
  expect(far.results.map((run: any) => run.started_at.slice(0, 10))).toEqual(['2026-10-02', '2026-10-01']);
  expect((await get(`action-runs/?workspaces=${workspace.id}&page_size=3&page=4`)).errors[0].code).toBe('not_found');
  expect((await get(`action-runs/?blocks=${block.id}&status=failed&ordering=created_at`)).results.map((run: any) => run.exit_code)).toEqual([1, 2]);
  const [{ id }] = far.results;
  const detail = await get(`action-runs/${id}/`);
  expect(detail).toMatchObject({ id, status: 'failed', block: { name: 'block-1' }, created: { created_by: { username: 'ci' } }, block_config: null, log_stdout: null });
}); // prettier-ignore

it('tells what it answers', async () => {
  const json = await fetch(server.at('/api/v1/schema/'));
  expect(json.headers.get('content-type')).toBe('application/json');
  const document = (await json.json()) as any;
  const yaml = await fetch(server.at('/api/v1/schema/'), { headers: { Accept: 'application/yaml' } });
  expect(parse(await yaml.text())).toEqual(document);
  expect(document.openapi).toBe('3.1.0');
  expect(Object.keys(document.paths)).not.toContain('/api/v1/activities/');
  // Whatever it names is there.
  for (const [path, methods] of Object.entries<any>(document.paths)) {
    for (const method of Object.keys(methods)) {
      const answer = await fetch(server.at(path.replace(/\{\w+\}/, randomUUID())), { method: method.toUpperCase(), headers: { Authorization: `Bearer ${as('ci')}`, 'Content-Type': 'application/json' }, ...(method === 'post' && { body: '{}' }) });
      expect([200, 400, 404], `${method} ${path}`).toContain(answer.status);
      if (answer.status === 404) expect(path).toContain('{');
    }
  }
}); // prettier-ignore
