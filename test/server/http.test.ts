import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERAS, tempFolder } from '../support/mcp.ts';
import { serve, visit, type TeamServer } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: TeamServer;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  await writeWorkspace(root.path, {
    name: 'shop',
    organization: 'acme',
    blocks: { web: { version: '1.0.0', actions: [script('hello', 'echo hello')] } },
  });
  server = await serve({
    home: home.path,
    args: ['--no-auth'],
    env: { ...localSettings(root.path), POLYCRATE_MCP_RUN_MODE: 'ask', POLYCRATE_MCP_RATE_LIMIT: 'none' },
  });
});
afterAll(async () => {
  expect(await server.end()).toBe(0);
  await Promise.all([home.remove(), root.remove()]);
});

const yes = { action: 'accept', content: { approve: true } } as const;
const HELLO = { workspace: 'shop', block: 'web', action: 'hello', wait_seconds: 30 };

describe.each(ERAS)('a client of the era %s', (era) => {
  it('lists the same tools as over stdio, asks a human and runs', async () => {
    const asked: string[] = [];
    const client = await visit({
      url: server.url,
      era,
      onAsk({ message }) {
        asked.push(message);
        return yes;
      },
    });
    const { tools } = await client.client.listTools();
    expect(tools[0]!.name).toBe('get_status');
    expect(tools.map(({ name }) => name)).toContain('run_action');
    const { data } = await client.call('run_action', HELLO);
    expect(data).toMatchObject({ finished: true, succeeded: true, run: { block: 'web', action: 'hello' } });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toContain('acme/shop');
    await client.close();
  });

  it('runs nothing without a yes', async () => {
    const client = await visit({ url: server.url, era, onAsk: () => ({ action: 'decline' }) });
    const { isError, error } = await client.call('run_action', HELLO);
    expect({ isError, code: error?.code }).toEqual({ isError: true, code: 'approval_declined' });
    await client.close();
  });
});

const INITIALIZE = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
};
const HEADERS = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };

function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return fetch(server.url, { method: 'POST', headers: { ...HEADERS, ...headers }, body: text });
}

async function openSession(): Promise<string> {
  const response = await post(INITIALIZE);
  await response.text();
  return response.headers.get('mcp-session-id')!;
}

describe('sessions', () => {
  it('end by DELETE, and are gone then', async () => {
    const id = await openSession();
    const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
    const use = (): Promise<Response> => post(list, { 'Mcp-Session-Id': id });
    expect((await use()).status).toBe(200);
    expect((await fetch(server.url, { method: 'DELETE', headers: { 'Mcp-Session-Id': id } })).status).toBe(
      200,
    );
    expect((await use()).status).toBe(404);
  });

  it('that nobody opened do not exist', async () => {
    const unknown = { 'Mcp-Session-Id': '00000000-0000-4000-8000-000000000000' };
    expect((await post({ jsonrpc: '2.0', id: 2, method: 'tools/list' }, unknown)).status).toBe(404);
    expect((await fetch(server.url, { headers: { ...unknown, Accept: 'text/event-stream' } })).status).toBe(
      404,
    );
    expect((await post({ jsonrpc: '2.0', id: 2, method: 'tools/list' })).status).toBe(400);
  });

  it('are bounded: the idlest gives way to a new one', async () => {
    const first = await openSession();
    for (let n = 0; n < 50; n += 1) await openSession();
    const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
    expect((await post(list, { 'Mcp-Session-Id': first })).status).toBe(404);
  });
});

describe('requests that are refused', () => {
  it.each([
    ['a foreign host', { Host: 'evil.example' }],
    ['a foreign host that ends like ours', { Host: 'evil-localhost' }],
    ['a foreign page', { Origin: 'https://evil.example' }],
    ['a page without a name', { Origin: 'null' }],
  ])('%s', async (_name, headers) => {
    const lines = [
      'POST /mcp HTTP/1.1',
      ...Object.entries({ Host: server.url.host, ...headers }).map(([name, value]) => `${name}: ${value}`),
      'Content-Type: application/json',
      `Content-Length: ${JSON.stringify(INITIALIZE).length}`,
      'Connection: close',
      '',
      JSON.stringify(INITIALIZE),
    ];
    expect(await raw(lines.join('\r\n'))).toMatch(/^HTTP\/1.1 403 /);
  });

  it.each([
    ['another content type', 415, '{}', { 'Content-Type': 'text/plain' }],
    ['what is no JSON', 400, '{"jsonrpc":', {}],
    ['too large a body', 413, `"${'x'.repeat(1_100_000)}"`, {}],
    ['too deep a body', 400, `${'['.repeat(65)}${']'.repeat(65)}`, {}],
    ['a very deep body', 400, '['.repeat(500_000), {}],
  ])('%s', async (_name, status, body, headers) => {
    const response = await post(body, headers);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ jsonrpc: '2.0', error: { code: -32000 } });
  });

  it('brackets in strings do not count as depth', async () => {
    const call = { name: 'get_block', arguments: { workspace: '['.repeat(200), block: '\\"[[' } };
    const response = await post({ ...INITIALIZE, params: { ...INITIALIZE.params, _meta: { call } } });
    expect(response.status).toBe(200);
  });

  it('other methods and other addresses', async () => {
    expect((await fetch(server.url)).status).toBe(405);
    expect((await fetch(server.url, { method: 'PUT', body: '{}' })).status).toBe(405);
    expect((await fetch(server.at('/admin'))).status).toBe(404);
    expect((await fetch(server.at('/metrics'))).status).toBe(200);
  });

  it.each([
    ['two lengths', ['Content-Length: 2', 'Content-Length: 30']],
    ['a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked']],
    ['a chunk encoding of somebody', ['Transfer-Encoding: xchunked']],
  ])('smuggled bodies: %s', async (_name, lengths) => {
    const lines = ['POST /mcp HTTP/1.1', `Host: ${server.url.host}`, ...lengths, '', '0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n'];
    expect(await raw(lines.join('\r\n'))).toMatch(/^HTTP\/1.1 400 /);
  }); // prettier-ignore
});

/** Sends bytes as they are and answers what comes back until the server closes. */
async function raw(text: string): Promise<string> {
  const socket = connectSocket(Number(server.url.port), server.url.hostname);
  await once(socket, 'connect');
  socket.write(text);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  return answer;
}

describe('what machines ask', () => {
  it('whether it lives, and whether it can answer', async () => {
    expect((await fetch(server.at('/healthz'))).status).toBe(200);
    expect(await (await fetch(server.at('/readyz'))).json()).toEqual({ status: 'ready' });
  });

  it('how it is used', async () => {
    const text = await (await fetch(server.at('/metrics'))).text();
    expect(text).toMatch(/polycrate_mcp_call_seconds_count\{tool="run_action",outcome="answered"\} \d/);
    expect(text).toMatch(/polycrate_mcp_sessions \d+/);
    expect(text).not.toContain('acme');
  });
});

it('is refused without authentication where others reach it', async () => {
  await expect(serve({ home: home.path, args: ['--no-auth', '--host', '0.0.0.0'] })).rejects.toThrow(
    /--no-auth is refused at 0\.0\.0\.0/,
  );
});
