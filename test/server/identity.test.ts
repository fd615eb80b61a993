import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AUDIENCE, startIssuer, type Issuer } from '../support/issuer.ts';
import { tempFolder } from '../support/mcp.ts';
import { command, makeKey, serve, visit, type TeamServer } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let issuer: Issuer;
let server: TeamServer;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  issuer = await startIssuer(root.path);
  await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    blocks: { web: { version: '1.0.0', actions: [script('hello', 'echo hello')] } },
  });
  server = await serve({
    home: home.path,
    env: {
      ...localSettings(root.path),
      POLYCRATE_MCP_RATE_LIMIT: '300',
      POLYCRATE_MCP_OIDC_ISSUER: issuer.url,
      POLYCRATE_MCP_OIDC_AUDIENCE: AUDIENCE,
      POLYCRATE_MCP_CA_FILE: issuer.caFile,
    },
  });
});
afterAll(async () => {
  expect(await server.end()).toBe(0);
  issuer.server.close();
  await Promise.all([home.remove(), root.remove()]);
});

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
};

function post(body: object, token?: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify(body),
  });
}

async function namesFor(token: string): Promise<string[]> {
  const client = await visit({ url: server.url, token });
  const { tools } = await client.client.listTools();
  await client.close();
  return tools.map(({ name }) => name);
}

const HELLO = { workspace: 'shop', block: 'web', action: 'hello', wait_seconds: 30 };

describe('keys', () => {
  it('open what their role opens, and are in the record', async () => {
    const { id, token } = await makeKey({ home: home.path, name: 'Ada', args: ['--role', 'runner'] });
    const client = await visit({ url: server.url, token });
    const { data } = await client.call('run_action', HELLO);
    expect(data.succeeded).toBe(true);
    const { data: found } = await client.call('get_action_run', { run_id: data.run.id });
    expect(found.run.principal).toMatchObject({ kind: 'key', subject: id, display: 'Ada' });
    expect(found.run.evidence.authenticated).toContain('principal');
    await client.close();
  });

  it('of a reader are not shown what runs, and cannot call it', async () => {
    const { token } = await makeKey({ home: home.path, name: 'reader' });
    const names = await namesFor(token);
    expect(names).toContain('search_action_runs');
    expect(names.filter((name) => /^(run_|cancel_|retrigger_)/.test(name))).toEqual([]);
    const client = await visit({ url: server.url, token });
    await expect(client.call('run_action', HELLO)).rejects.toThrow(/run_action/);
    await client.close();
  });

  it('that are revoked or unknown open nothing, and the answer says how to get in', async () => {
    const { id, token } = await makeKey({ home: home.path, name: 'gone' });
    expect((await post(LIST, token)).status).toBe(400);
    const told = await command({ home: home.path, args: ['keys', 'revoke', id] });
    expect(told).toContain(id);
    await expect.poll(async () => (await post(LIST, token)).status, { timeout: 10_000 }).toBe(401);
    for (const bad of [token, token.slice(0, -1) + 'A', 'pmk_000000000000_' + 'A'.repeat(43), 'x', 'a.b.c']) {
      const response = await post(LIST, bad);
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token".*resource_metadata="http/);
    }
    const { headers, status } = await post(LIST);
    expect(status).toBe(401);
    const metadata = /resource_metadata="([^"]+)"/.exec(headers.get('www-authenticate')!)![1]!;
    expect(await (await fetch(metadata)).json()).toMatchObject({
      authorization_servers: [issuer.url],
      scopes_supported: expect.arrayContaining(['polycrate:read', 'polycrate:run']) as unknown,
    });
  });

  it('are shown once, listed without their secret, and end by themselves', async () => {
    const { token } = await makeKey({ home: home.path, name: 'short', args: ['--expires', '1m', '--for', 'acme'] });
    const listed = await command({ home: home.path, args: ['keys', 'list'] });
    expect(listed).toMatch(/short {2}valid {2}Roles: reader; sees acme; until/);
    expect(listed).not.toContain(token.slice(-20));
    await expect(command({ home: home.path, args: ['keys', 'create', '--name', 'x', '--role', 'king'] })).rejects.toThrow(/"king" is not a role/);
    await expect(command({ home: home.path, args: ['keys', 'create', '--name', 'x', '--expires', '2020-01-01'] })).rejects.toThrow(/no time to come/);
  });

  it('metrics are for administrators', async () => {
    const [reader, admin] = await Promise.all([
      makeKey({ home: home.path, name: 'r' }),
      makeKey({ home: home.path, name: 'a', args: ['--role', 'admin'] }),
    ]);
    const ask = (token: string): Promise<Response> =>
      fetch(server.at('/metrics'), { headers: { Authorization: `Bearer ${token}` } });
    expect((await ask(reader.token)).status).toBe(403);
    expect((await ask(admin.token)).status).toBe(200);
  });
}); // prettier-ignore

describe('sessions', () => {
  it('of somebody else do not exist', async () => {
    const [one, two] = await Promise.all([
      makeKey({ home: home.path, name: 'one' }),
      makeKey({ home: home.path, name: 'two' }),
    ]);
    const opened = await post(INITIALIZE, one.token);
    await opened.text();
    const session = { 'Mcp-Session-Id': opened.headers.get('mcp-session-id')! };
    expect((await post(LIST, one.token, session)).status).toBe(200);
    expect((await post(LIST, two.token, session)).status).toBe(404);
    expect((await post(LIST, undefined, session)).status).toBe(401);
  });
});

describe('access tokens', () => {
  it('are identities with the roles of their scopes', async () => {
    const token = await issuer.token({ sub: 'u-1', email: 'mei@example.com', scope: 'openid polycrate:read polycrate:run' });
    const client = await visit({ url: server.url, token });
    const { data } = await client.call('run_action', HELLO);
    const { data: found } = await client.call('get_action_run', { run_id: data.run.id });
    expect(found.run.principal).toEqual({ kind: 'oidc', issuer: issuer.url, subject: 'u-1', display: 'mei@example.com' });
    await client.close();
  });

  it('with too little are told all that is needed', async () => {
    const token = await issuer.token({ sub: 'u-2', scope: 'polycrate:read' });
    const call = { jsonrpc: '2.0', id: 3, method: 'tools/call', params: { name: 'run_action', arguments: HELLO } };
    const response = await post(call, token);
    expect(response.status).toBe(403);
    expect(response.headers.get('www-authenticate')).toMatch(/error="insufficient_scope", scope="polycrate:read polycrate:run"/);
  });

  it.each([
    ['for another server', {}, { audience: 'https://other.example/mcp' }, 'not issued for this server'],
    ['that ended', {}, { expires: '-5m' }, 'expired'],
    ['signed by somebody else', {}, { forged: true }, 'not known'],
    ['of another issuer', {}, { issuer: 'https://evil.example' }, 'not known'],
  ])('%s open nothing', async (_name, claims, options, says) => {
    const token = await issuer.token({ sub: 'u-3', scope: 'polycrate:admin', ...claims }, options);
    const response = await post(LIST, token);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain(says);
  });

  it('without a signature open nothing', async () => {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: issuer.url, aud: AUDIENCE, sub: 'u-4', exp: 4_000_000_000, scope: 'polycrate:admin' };
    for (const alg of ['none', 'HS256']) {
      expect((await post(LIST, `${part({ alg })}.${part(claims)}.`)).status).toBe(401);
    }
  });

  it('without any of our scopes are no identity that sees something', async () => {
    const token = await issuer.token({ sub: 'u-5', scope: 'openid' });
    expect((await post(LIST, token)).status).toBe(403);
  });
}); // prettier-ignore

it('limits how often one principal asks, and nobody else by it', async () => {
  const [busy, calm] = await Promise.all([
    makeKey({ home: home.path, name: 'busy' }),
    makeKey({ home: home.path, name: 'calm' }),
  ]);
  const statuses = new Set<number>();
  let last: Response | null = null;
  for (let n = 0; n < 320 && last?.status !== 429; n += 1) {
    last = await post(LIST, busy.token);
    statuses.add(last.status);
  }
  expect(last!.status).toBe(429);
  expect(Number(last!.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await post(LIST, calm.token)).status).toBe(400);
});
