import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RUNNER_PREFIX } from '../../src/runners/protocol.ts';
import { tempFolder } from '../support/mcp.ts';
import { makeKey, serve, type TeamServer } from '../support/team-server.ts';

// Who gets to what runners ask for, and what the key of a runner opens besides: nothing.

const PLACE = { 'Polycrate-Runner-Place': 'a-place-of-a-runner' };
let home: Awaited<ReturnType<typeof tempFolder>>;
let server: TeamServer;
const keys: Record<string, string> = {};

beforeAll(async () => {
  home = await tempFolder('home');
  for (const role of ['machine', 'admin', 'runner'])
    keys[role] = (await makeKey({ home: home.path, name: role, args: ['--role', role] })).token;
  const env = { POLYCRATE_MCP_RATE_LIMIT: '6', POLYCRATE_MCP_WORKSPACES: home.path };
  server = await serve({ home: home.path, env, withRunner: false });
});
afterAll(async () => {
  await server.kill();
  await home.remove();
});

const send = (
  role: string | null,
  path: string,
  body: unknown = {},
  headers: object = PLACE,
): Promise<Response> =>
  fetch(server.at(path), {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      ...(role !== null && { Authorization: `Bearer ${keys[role]}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const ask = async (role: string | null, method: string, body?: unknown, headers?: object) => {
  const response = await send(role, `${RUNNER_PREFIX}${method}`, body, headers);
  return { status: response.status, body: (await response.json()) as any };
};

it('is for keys of the role machine only, and tells everybody else what is missing', async () => {
  expect(await ask('machine', 'leases/list')).toEqual({ status: 200, body: { value: [] } });
  for (const role of ['admin', 'runner'])
    expect(await ask(role, 'leases/list'), role).toMatchObject({
      status: 403,
      body: { error: { code: 'refused', next: expect.stringContaining('--role machine') } },
    });
  expect((await ask(null, 'leases/list')).status).toBe(401);
  keys['guess'] = keys['machine']!.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
  expect((await ask('guess', 'leases/list')).status).toBe(401);
});

it('opens nothing else', async () => {
  for (const path of ['/mcp', '/api/v1/action-runs/', '/api/v1/cli/action-runs/', '/metrics'])
    expect((await send('machine', path)).status, path).toBe(403);
});

it('refuses what is no request of a runner', async () => {
  const code = async (...asked: Parameters<typeof ask>) => {
    const { status, body } = await ask(...asked);
    return `${status} ${body.error.code}`;
  };
  expect(await code('machine', 'leases/list', {}, {})).toBe('400 invalid_argument');
  expect(await code('machine', 'leases/list', {}, { 'Polycrate-Runner-Place': 'short' })).toBe('400 invalid_argument');
  expect(await code('machine', 'leases/list', 'no JSON')).toBe('400 invalid_argument');
  expect(await code('machine', 'leases/list', '[')).toBe('400 invalid_argument');
  expect(await code('machine', 'leases/list', { more: 1 })).toBe('400 invalid_argument');
  expect(await code('machine', 'ledger/find', { id: 'x'.repeat(2_000) })).toBe('400 invalid_argument');
  expect(await code('machine', 'ledger/find', `{"id":${'['.repeat(99)}${']'.repeat(99)}}`)).toBe('400 invalid_argument');
  for (const nothing of ['ledger/answer', 'ledger/proof', 'house/add', 'constructor', '__proto__', ''])
    expect(await code('machine', nothing), nothing).toBe('404 unknown_name');
  expect(await code('machine', 'ledger/find', ' '.repeat(9 * 1024 * 1024))).toBe('413 invalid_argument');
}); // prettier-ignore

it('is not counted among the questions of people', async () => {
  const asked = await Promise.all(Array.from({ length: 8 }, () => ask('machine', 'leases/now')));
  expect(asked.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
});

it('gives nobody the key that seals approvals', async () => {
  const secret = await readFile(`${home.path}/ledger.key`);
  const { body } = await ask('machine', 'ledger/key');
  expect(Buffer.from(body.value as string, 'base64')).toHaveLength(32);
  expect(body.value).not.toBe(secret.toString('base64'));
});

it('lets the server end while a runner waits for a change', async () => {
  const waiting = ask('machine', 'watch', { since: null, max_ms: 25_000 });
  // Sent behind it; should it overtake it nevertheless, the server refuses to let it wait.
  await ask('machine', 'leases/now');
  const began = performance.now();
  expect(await server.end()).toBe(0);
  expect(performance.now() - began).toBeLessThan(8_000);
  expect([200, 503]).toContain((await waiting).status);
});
