import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import { createApiKeys } from '../../src/ledger/api-keys.ts';
import { deskOn, type Desk } from '../support/desk.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { AUDIENCE, startIssuer, type Issuer } from '../support/issuer.ts';
import { tempFolder } from '../support/mcp.ts';
import { command, makeKey, serve, visit, type TeamServer, type Visitor } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Run mode `ask` at a team server: a client that cannot ask its user has its runs wait for whoever may approve.

let folders: Awaited<ReturnType<typeof tempFolder>>[];
let [home, root]: string[] = [];
let issuer: Issuer;
let server: TeamServer;
let records: Records;
let desk: Desk;
let bea: Awaited<ReturnType<typeof makeKey>>;
let asker: Visitor;
const visitors: Visitor[] = [];

const env = (): Record<string, string> => ({
  ...localSettings(root!),
  POLYCRATE_MCP_RUN_MODE: 'ask',
  POLYCRATE_MCP_OIDC_ISSUER: issuer.url,
  POLYCRATE_MCP_OIDC_AUDIENCE: AUDIENCE,
  POLYCRATE_MCP_CA_FILE: issuer.caFile,
});
const enter = async (token?: string, url = server.url): Promise<Visitor> => {
  const visitor = await visit({ url, ...(token !== undefined && { token }) });
  visitors.push(visitor);
  return visitor;
};
const MARKED = ['one', 'two', 'three', 'four', 'five'].map((block) => ({ block, action: 'go' }));
const target = (block: string): Record<string, unknown> => ({
  workspace: 'shop',
  block,
  action: 'go',
  reason: 'why',
});
const ask = async (block: string, by = asker): Promise<any> => {
  const { data, error } = await by.call('run_action', target(block));
  expect(error).toBeNull();
  return data;
};
const ended = async (run_id: string, by = asker): Promise<any> => {
  await by.call('wait_for_action_run', { run_id, wait_seconds: 30 });
  return (await by.call('get_action_run', { run_id })).data.run;
};
const executions = (block: string): number => {
  try {
    return readFileSync(join(root!, 'acme', 'shop', 'marks', block), 'utf8').split('\n').length - 1;
  } catch {
    return 0;
  }
};

beforeAll(async () => {
  folders = await Promise.all(['home', 'root'].map(tempFolder));
  [home, root] = folders.map(({ path }) => path);
  issuer = await startIssuer(home!);
  const mark = 'mkdir -p "$POLYCRATE_WORKSPACE/marks"; echo ran >> "$POLYCRATE_WORKSPACE/marks/$POLYCRATE_BLOCK"';
  const blocks = Object.fromEntries(MARKED.map(({ block }) => [block, { actions: [script('go', mark)] }]));
  const steps = MARKED.slice(0, 2).map((step) => ({ name: step.block, ...step }));
  const rest = { workflows: [{ name: 'all', steps }] };
  await writeWorkspace(root!, { name: 'shop', organization: 'acme', blocks, rest });
  bea = await makeKey({ home: home!, name: 'Bea', args: ['--role', 'approver'] });
  server = await serve({ home: home!, env: env() });
  records = openSqlite(home!);
  desk = deskOn(records, []);
  const ada = await makeKey({ home: home!, name: 'Ada', args: ['--role', 'runner', '--role', 'approver'] });
  asker = await enter(ada.token);
}, 120_000); // prettier-ignore
afterAll(async () => {
  await Promise.all(visitors.map((visitor) => visitor.close()));
  await server.end();
  await records.close();
  issuer.server.close();
  await Promise.all(folders.map((folder) => folder.remove()));
});

describe('a client that cannot ask its user', () => {
  it('has its run wait, which somebody else approves, and nobody else starts', async () => {
    const { run, next } = await ask('one');
    expect(run).toMatchObject({
      status: 'pending',
      approval_needed: { rule: 'mode:ask', needs: expect.stringContaining('anybody who may approve') },
    });
    expect(next).toContain('no call can do');
    await desk.say(run.id, bea.token, 'approved', 'go on');
    expect(await ended(run.id)).toMatchObject({
      status: 'success',
      approval: { outcome: 'approved', by: 'Bea', reason: 'go on' },
    });
    expect(executions('one')).toBe(1);
  });

  it('has its workflow wait as a whole', async () => {
    const { data } = await asker.call('run_workflow', { workspace: 'shop', workflow: 'all' });
    expect(data.run).toMatchObject({ status: 'pending', approval_needed: { rule: 'mode:ask' } });
    expect(executions('two')).toBe(0);
    await desk.say(data.run.id, bea.token);
    expect(await ended(data.run.id)).toMatchObject({ status: 'success' });
    expect(executions('two')).toBe(1);
  });

  it('is told who could answer where nobody can', async () => {
    const lonely = await tempFolder('lonely');
    const open = await serve({ home: lonely.path, env: { ...localSettings(root!), POLYCRATE_MCP_RUN_MODE: 'ask' }, args: ['--no-auth'] });
    const visitor = await visit({ url: open.url });
    const refused = await visitor.call('run_action', target('three'));
    expect(refused.error).toMatchObject({ code: 'approval_unavailable', next: expect.stringContaining('keys create --role approver') });
    await makeKey({ home: lonely.path, name: 'Cy', args: ['--role', 'approver'] });
    expect((await visitor.call('run_action', target('three'))).data.run).toMatchObject({ status: 'pending' });
    await visitor.close();
    await open.end();
    await lonely.remove();
    expect(executions('three')).toBe(0);
  }); // prettier-ignore
});

describe('the approval page', () => {
  const login = async (link: string, key: string, cookie = ''): Promise<{ page: string; cookie: string; status: number }> => {
    const read = async (headers: Record<string, string>) => await fetch(link, { headers });
    const first = await read({ cookie });
    const visited = cookiesOf(first);
    const page = await first.text();
    const fields = { step: 'login', key, token: tokenIn(page) };
    const response = await fetch(link, { method: 'POST', redirect: 'manual', headers: { cookie: visited }, body: new URLSearchParams(fields) });
    const whole = `${visited}; ${cookiesOf(response)}`;
    if (response.status !== 303) return { page: await response.text(), cookie: whole, status: response.status };
    return { page: await (await read({ cookie: whole })).text(), cookie: whole, status: response.status };
  };
  const cookiesOf = ({ headers }: Response): string => headers.getSetCookie().map((one) => one.split(';')[0]).join('; ');
  const tokenIn = (page: string): string => /name="token" value="([^"]+)"/.exec(page)![1]!;
  const answer = (link: string, step: 'approve' | 'deny', { page, cookie }: { page: string; cookie: string }): Promise<Response> =>
    fetch(link, { method: 'POST', redirect: 'manual', headers: { cookie }, body: new URLSearchParams({ step, reason: 'seen', token: tokenIn(page) }) });
  const linkOf = ({ run }: any): string => /http\S+$/.exec(run.approval_needed.how.join('\n'))![0];
  const mei = { sub: 'u-1', email: 'mei@example.com' };

  it('takes an access token as the server verifies it, keeps nothing of it, and says what it takes', async () => {
    const waiting = await ask('five');
    const link = linkOf(waiting);
    expect(await (await fetch(link)).text()).toContain(`an access token of ${issuer.url} for this server`);
    const refused: [string, string][] = [
      [await issuer.token({ ...mei, scope: 'polycrate:approve' }, { forged: true }), 'no access token that it accepts'],
      [await issuer.token({ ...mei, scope: 'polycrate:approve' }, { expires: '-5m' }), 'It has expired'],
      [await issuer.token({ ...mei, scope: 'polycrate:approve' }, { audience: 'https://other.example' }), 'not issued for this server'],
      [await issuer.token({ ...mei, scope: 'openid' }), 'none of the scopes'],
      [await issuer.token({ ...mei, scope: 'polycrate:approve', polycrate_workspaces: Array(400).fill('acme/shop') }), 'more places than a browser'],
    ];
    for (const [token, says] of refused) {
      const tried = await login(link, token);
      expect(tried, says).toMatchObject({ status: 403, page: expect.stringContaining(says) });
      expect(tried.page).not.toContain('five');
    }
    const reader = await login(link, await issuer.token({ ...mei, scope: 'polycrate:read' }));
    expect(reader.page).toContain('Answering needs the role approver');
    const elsewhere = await login(link, await issuer.token({ ...mei, scope: 'polycrate:approve', polycrate_workspaces: ['globex'] }));
    expect(elsewhere.page).not.toContain('five');
    const token = await issuer.token({ ...mei, scope: 'polycrate:approve' });
    const session = await login(link, token);
    expect(session.page).toContain('Logged in as mei@example.com');
    expect(session.cookie).not.toContain(token.split('.')[2]);
    const [text] = /polycrate_approver=[^.]+/.exec(session.cookie)!;
    const made = Buffer.from(JSON.stringify({ key: bea.id })).toString('base64url');
    const forged = { ...session, cookie: session.cookie.replace(text, `polycrate_approver=${made}`) };
    expect((await answer(link, 'approve', forged)).status).toBe(403);
    expect(executions('five')).toBe(0);
    expect((await answer(link, 'approve', session)).status).toBe(303);
    const run = await ended(waiting.run.id);
    expect(run).toMatchObject({ status: 'success', approval: { by: 'mei@example.com', reason: 'seen', strength: 'key' } });
    expect(run.approvals).toEqual([expect.objectContaining({ principal: expect.objectContaining({ kind: 'oidc', subject: 'u-1', issuer: issuer.url }) })]);
    expect(executions('five')).toBe(1);
  });

  it('has no login at the issuer where none is set up', async () => {
    const waiting = await ask('five');
    const link = linkOf(waiting);
    const first = await fetch(link);
    const page = await first.text();
    expect(page).not.toContain('sign-in');
    const body = new URLSearchParams({ step: 'sign-in', token: tokenIn(page) });
    expect((await fetch(link, { method: 'POST', headers: { cookie: cookiesOf(first) }, body })).status).toBe(403);
    expect((await fetch(server.at('/approvals/login?code=1&state=2'))).status).toBe(404);
    await asker.call('cancel_action_run', { run_id: waiting.run.id });
  });

  it('lets nobody approve by a token what they asked for with one, and a session ends with its token', async () => {
    const both = await issuer.token({ sub: 'u-2', scope: 'polycrate:run polycrate:approve' });
    const by = await enter(both);
    const waiting = await ask('five', by);
    const link = linkOf(waiting);
    const own = await answer(link, 'approve', await login(link, both));
    expect(own.status).toBe(409);
    expect(await own.text()).toContain('nobody approves what they asked for themselves');
    // The server lets a token count for 30 s longer than it says, as clocks differ.
    const session = await login(link, await issuer.token({ sub: 'u-3', scope: 'polycrate:approve' }, { expires: '-27s' }));
    expect(session.page).toContain('Logged in as u-3');
    await expect.poll(async () => (await fetch(link, { headers: { cookie: session.cookie } })).text(), { timeout: 15_000 }).toContain('Log in with');
    expect((await answer(link, 'deny', session)).status).toBe(403);
    await by.call('cancel_action_run', { run_id: waiting.run.id });
    expect(executions('five')).toBe(1);
  });
}); // prettier-ignore

describe('a run that waits, of somebody whose key is no more', () => {
  const closed = async (run_id: string): Promise<any> => {
    await expect.poll(async () => (await records.ledger.find(run_id))?.status, { timeout: 20_000 }).toBe('cancelled');
    return await records.ledger.find(run_id);
  }; // prettier-ignore

  it('is closed when the key is revoked, and cannot be approved', async () => {
    const key = await makeKey({ home: home!, name: 'Leaves', args: ['--role', 'runner'] });
    const { run } = await ask('four', await enter(key.token));
    await command({ home: home!, args: ['keys', 'revoke', key.id] });
    expect(await closed(run.id)).toMatchObject({
      status_reason: expect.stringContaining('the API key of who asked for it was revoked'),
      launched: false,
    });
    await expect(desk.say(run.id, bea.token)).rejects.toThrow('waits no more');
    expect(executions('four')).toBe(0);
  });

  it('is closed when the key expires', async () => {
    const by = { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } as const;
    const keys = createApiKeys(records.house, { now: () => Date.now() });
    const short = {
      name: 'Short',
      roles: ['runner'],
      scope: null,
      expires_at: Date.now() + 3_000,
      by,
    } as const;
    const { token } = await keys.create(short);
    const standing = async (): Promise<number> =>
      (await fetch(server.at('/metrics'), { headers: { Authorization: `Bearer ${token}` } })).status;
    // The server looks for unknown keys every 50 ms.
    await expect.poll(standing).toBe(403);
    const { run } = await ask('four', await enter(token));
    expect(await closed(run.id)).toMatchObject({ status_reason: expect.stringContaining('has expired') });
    expect(executions('four')).toBe(0);
  });
});
