import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/mcp.ts';
import { META_VERSION, modernMeta, startRaw, type Raw } from '../support/raw.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

let folder: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;

beforeAll(async () => {
  [folder, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const actions = [script('hello', 'echo hello; echo oops >&2'), script('fail', 'exit 3')];
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks: { db: { actions } } });
});
afterAll(() => Promise.all([folder.remove(), root.remove()]));

const start = (name: string, level = 'debug'): Raw =>
  startRaw({
    home: join(folder.path, name),
    env: { ...localSettings(root.path), POLYCRATE_MCP_LOG_LEVEL: level, POLYCRATE_MCP_TYPO: 'x' },
  });

function expectOnlyJsonRpc({ lines }: Raw): void {
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(JSON.parse(line), line).toMatchObject({ jsonrpc: '2.0' });
}

it('a session with errors puts nothing but JSON-RPC on stdout, and goes on', async () => {
  const server = start('session');
  const target = { workspace: 'shop', block: 'db', wait_seconds: 50 };
  await server.call('run_action', { ...target, action: 'hello' });
  await server.call('run_action', { ...target, action: 'fail' });
  await server.call('run_action', { ...target, action: 'no-such' });
  await server.call('search_action_runs', { bogus: 1 });
  server.send('{"jsonrpc":"2.0","id":');
  server.send('not json at all');
  server.send('');
  server.send('[]');
  server.send('null');
  server.send('{"jsonrpc":"1.0","id":99,"method":"tools/list"}');
  server.send('\u0000\ufffd');
  expect((await server.request('resources/read', { uri: 'polycrate://runs/none' })).error?.code).toBe(-32602);
  expect((await server.request('no/such/method')).error?.code).toBe(-32601);
  expect((await server.call('no_such_tool')).error?.code).toBe(-32602);
  expect((await server.call('get_status')).result.structuredContent.ledger.runs.total).toBe(2);
  const { code } = await server.end();
  expect(code).toBe(0);
  expectOnlyJsonRpc(server);
  expect(server.stderr()).toContain('POLYCRATE_MCP_TYPO');
  for (const line of server.stderr().trim().split('\n').slice(1)) expect(() => JSON.parse(line), line).not.toThrow();
}); // prettier-ignore

it('stdin that closes ends it quickly with code 0', async () => {
  const server = start('quick');
  await server.request('server/discover');
  const { code, ms } = await server.end();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(2_000);
});

it('stdin that closes before anything was asked ends it with code 0', async () => {
  const server = start('mute');
  expect((await server.end()).code).toBe(0);
  expect(server.lines).toEqual([]);
});

it('until the first call of a tool nothing is written at all', async () => {
  const server = start('probe');
  await server.request('server/discover');
  await server.request('tools/list');
  await server.request('resources/templates/list');
  expect(existsSync(join(folder.path, 'probe'))).toBe(false);
  await server.call('list_workspaces');
  await server.call('search_action_runs');
  expect(await readdir(join(folder.path, 'probe'))).toContain('ledger.db');
  await server.end();
});

describe('the modern era', () => {
  let server: Raw;
  beforeAll(() => {
    server = start('modern', 'error');
  });
  afterAll(() => server.end());

  it('is discovered first, with 2026-07-28', async () => {
    const { result } = await server.request('server/discover');
    expect(result.supportedVersions[0]).toBe('2026-07-28');
    expect(result.capabilities).toMatchObject({ tools: {}, resources: {}, completions: {} });
  });

  it('lists the same tools twice, with what a cache needs', async () => {
    const [first, second] = [await server.request('tools/list'), await server.request('tools/list')];
    expect(second.result).toEqual(first.result);
    expect(first.result).toMatchObject({ resultType: 'complete', cacheScope: 'public' });
    expect(first.result.ttlMs).toBeGreaterThan(0);
  });

  it.each([
    ['an unknown tool', 'tools/call', { name: 'no_such_tool', arguments: {} }, -32602],
    ['an unknown method', 'no/such/method', {}, -32601],
    ['a request without its envelope', 'tools/list', { _meta: undefined }, -32602],
    ['an unknown resource', 'resources/read', { uri: 'polycrate://runs/none' }, -32602],
  ])('%s is a protocol error', async (_, method, params, code) => {
    expect((await server.request(method, params)).error?.code).toBe(code);
  });
});

it('an opening message with an unknown version is refused with the supported ones', async () => {
  const server = start('future', 'error');
  const _meta = { ...modernMeta(), [META_VERSION]: '1900-01-01' };
  const { error } = await server.request('tools/list', { _meta });
  expect(error).toMatchObject({ code: -32022, data: { supported: expect.arrayContaining(['2026-07-28']) } });
  await server.end();
});

it.each(['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'])('initialize works for %s', async (version) => {
  const server = start('legacy', 'error');
  const id = server.nextId();
  const clientInfo = { name: 'old', version: '1' };
  server.send({ id, method: 'initialize', params: { protocolVersion: version, capabilities: {}, clientInfo } });
  expect((await server.answer(id)).result).toMatchObject({
    protocolVersion: version,
    serverInfo: { name: 'polycrate-mcp' },
    instructions: expect.stringContaining('polycrate-mcp'),
  });
  server.send({ method: 'notifications/initialized' });
  const call = server.nextId();
  server.send({ id: call, method: 'tools/call', params: { name: 'get_status', arguments: {} } });
  expect((await server.answer(call)).result.content[0].text).toContain('"executors"');
  expect((await server.end()).code).toBe(0);
  expectOnlyJsonRpc(server);
}); // prettier-ignore
