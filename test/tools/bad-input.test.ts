import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tools } from '../../src/tools/index.ts';
import { tempFolder } from '../support/mcp.ts';
import { modernMeta, startRaw, toolError, type Message, type Raw } from '../support/raw.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

/** More time than this means that an expression or a comparison saw the whole text. */
const QUICK_MS = 2_000;
const HUGE = 'a-'.repeat(5_000);

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Raw;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const blocks = { db: { version: '1.0.0', actions: [script('hello', 'echo hello')] } };
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks });
  await writeWorkspace(root.path, { name: 'shop', organization: 'globex', blocks });
  server = startRaw({ home: home.path, env: localSettings(root.path) });
  // Starting and opening the ledger is not part of what is timed.
  await server.call('search_action_runs');
});
afterAll(async () => {
  const runs = await server.call('search_action_runs', { include_excluded: true });
  expect(runs.result.structuredContent.total, 'no bad input may run anything').toBe(0);
  await server.end();
  await Promise.all([home.remove(), root.remove()]);
});

/** The refusal of a call; fails where the call was answered. */
async function refusal(name: string, args: unknown): Promise<any> {
  const began = performance.now();
  const message = await server.call(name, args as Record<string, unknown>);
  const error = toolError(message);
  expect(error, JSON.stringify(message).slice(0, 500)).not.toBeNull();
  expect(performance.now() - began).toBeLessThan(QUICK_MS);
  expect(JSON.stringify(error).length, 'a refusal stays short').toBeLessThan(4_500);
  return error;
}

/** A call whose arguments are sent as they are written. */
function sendArguments(name: string, args: string): Promise<Message> {
  const id = server.nextId();
  const start = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call' }).slice(0, -1);
  server.send(
    `${start},"params":{"_meta":${JSON.stringify(modernMeta())},"name":"${name}","arguments":${args}}}`,
  );
  return server.answer(id);
}

const target = (more: Record<string, unknown> = {}) => ({
  workspace: 'acme/shop', block: 'db', action: 'hello', ...more,
}); // prettier-ignore

describe('unknown names are refused with the closest', () => {
  it.each([
    ['run_action', target({ workspace: 'acme/shopp' }), 'acme/shopp', 'acme/shop'],
    ['run_action', target({ block: 'dbb' }), 'dbb', 'db'],
    ['run_action', target({ block: 'db:2.0.0' }), '2.0.0', 'db:1.0.0'],
    ['run_action', target({ action: 'helo' }), 'helo', 'hello'],
    ['plan_action', target({ action: 'helo' }), 'helo', 'hello'],
    ['get_block', { workspace: 'globex/shop', block: 'dp' }, 'dp', 'db'],
  ])('%s %j', async (name, args, named, closest) => {
    const error = await refusal(name, args);
    expect(error).toMatchObject({ code: 'unknown_name', message: expect.stringContaining(named) });
    expect(error.valid[0]).toBe(closest);
    expect(error.next).toMatch(/list_|get_block/);
  });

  it('an ambiguous workspace with the candidates', async () => {
    const error = await refusal('run_action', target({ workspace: 'shop' }));
    expect(error).toMatchObject({ code: 'ambiguous_name', valid: ['acme/shop', 'globex/shop'] });
  });

  it.each(['get_action_run', 'read_action_run_log', 'wait_for_action_run', 'cancel_action_run', 'retrigger_action_run'])(
    'an unknown run in %s, with the tool that lists runs',
    async (name) => {
      for (const run_id of ['01a00000-0000-7000-8000-000000000000', 'nope', "' OR 1=1 --", '%', '\u0000']) {
        const error = await refusal(name, { run_id });
        expect(error).toMatchObject({ code: 'unknown_name', next: expect.stringContaining('search_action_runs') });
      }
    },
  ); // prettier-ignore
});

describe.each(['workspace', 'block', 'action'])('a %s that is no name', (argument) => {
  it.each([
    ['..'],
    ['../../etc/passwd'],
    ['a/../b'],
    ['/etc/passwd'],
    ['-rf'],
    ['--help'],
    [''],
    ['$(reboot)'],
    ['`id`'],
    ['a;b'],
    ['a|b'],
    ['a&b'],
    ['a\nb'],
    ['a\tb'],
    ['a\u0000b'],
    ['a\u001b[31mb'],
    ['a\u202eb'],
    ['a"b'],
    ["a'b"],
    ['a\\b'],
    ['a*'],
    ['x'.repeat(201)],
  ])('%j is refused before it is looked up', async (value) => {
    const error = await refusal('run_action', target({ [argument]: value }));
    expect(error.code).toBe('invalid_argument');
    expect(error.message).toContain(argument);
  });
});

describe('ten thousand characters are refused quickly', () => {
  const cases = tools.flatMap(({ name, input }) =>
    Object.entries(input.shape).flatMap(([argument, schema]) =>
      schema.safeParse('a').success || schema.safeParse('2026').success || argument === 'cursor'
        ? [[name, argument] as const]
        : [],
    ),
  );

  it('in every text argument there is', () => {
    const named = cases.map(([name, argument]) => `${name}.${argument}`);
    for (const one of ['run_action.workspace', 'get_action_run.run_id', 'search_action_runs.timezone'])
      expect(named).toContain(one);
    expect(cases.length).toBeGreaterThan(35);
  });

  it.each(cases)('%s %s', async (name, argument) => {
    const error = await refusal(name, { ...valid(name), [argument]: HUGE });
    expect(error.code).toBe('invalid_argument');
    expect(error.message).toContain(argument);
    expect(error.message).not.toContain('a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a');
  });

  it('in a list of names', async () => {
    const error = await refusal('search_action_runs', { user: ['alice', HUGE] });
    expect(error.message).toContain('user');
  });
});

/** Arguments that the tool needs besides the one at test. */
function valid(name: string): Record<string, unknown> {
  if (name === 'get_block') return { workspace: 'acme/shop', block: 'db' };
  if (name === 'run_action' || name === 'plan_action') return target();
  return /_action_run(_log)?$/.test(name) ? { run_id: '01a00000-0000-7000-8000-000000000000' } : {};
}

describe('wrong types and shapes', () => {
  it.each<[string, unknown, string]>([
    ['run_action', {}, 'workspace'],
    ['run_action', target({ workspace: 7 }), 'workspace'],
    ['run_action', target({ workspace: null }), 'workspace'],
    ['run_action', target({ workspace: ['acme/shop'] }), 'workspace'],
    ['run_action', target({ action: { name: 'hello' } }), 'action'],
    ['run_action', target({ wait_seconds: '5' }), 'wait_seconds'],
    ['run_action', target({ wait_seconds: 51 }), 'wait_seconds'],
    ['run_action', target({ wait_seconds: -1 }), 'wait_seconds'],
    ['run_action', target({ timeout_seconds: 1.5 }), 'timeout_seconds'],
    ['run_action', target({ timeout_seconds: 1e12 }), 'timeout_seconds'],
    ['run_action', target({ allow_concurrent: 'yes' }), 'allow_concurrent'],
    ['run_action', target({ idempotency_key: '' }), 'idempotency_key'],
    ['search_action_runs', { limit: 0 }, 'limit'],
    ['search_action_runs', { limit: 101 }, 'limit'],
    ['search_action_runs', { limit: 2.5 }, 'limit'],
    ['search_action_runs', { exit_code: '0' }, 'exit_code'],
    ['search_action_runs', { exit_code: 1e300 }, 'exit_code'],
    ['search_action_runs', { user: [1, 2] }, 'user'],
    ['search_action_runs', { user: { $ne: null } }, 'user'],
    ['search_action_runs', { text: '' }, 'text'],
    ['plan_action', { ...target(), mode: 'best' }, 'mode'],
  ])('%s %s', async (name, args, argument) => {
    const error = await refusal(name, args);
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(argument) });
    expect(error.next).toContain(name);
  });

  it.each([
    ['user', 51],
    ['user', 100_000],
    ['status', 100_000],
  ])('%s with %i entries', async (argument, length) => {
    const error = await refusal('search_action_runs', { [argument]: Array.from({ length }, () => 'x') });
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(argument) });
  });

  it('deeply nested arguments do no harm', async () => {
    const message = await sendArguments(
      'search_action_runs',
      `{"user":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
    );
    expect(toolError(message)?.message ?? message.error?.message).toBeDefined();
    expect((await server.call('get_status')).result.isError).toBeUndefined();
  });

  it('an empty list of names filters nothing', async () => {
    const { result } = await server.call('search_action_runs', { user: [] });
    expect(result.structuredContent.filters).not.toHaveProperty('user');
  });
});

describe('unknown parameters', () => {
  it.each([
    ['run_action', { blok: 'db' }, 'block'],
    ['search_action_runs', { workspaces: 'shop' }, 'workspace'],
    ['search_action_runs', { constructor: 1 }, null],
    ['search_action_runs', { toString: 'x' }, null],
    ['search_action_runs', { hasOwnProperty: 'x' }, null],
    ['get_status', { verbose: true }, null],
  ])('%s %j is refused with the closest', async (name, more, closest) => {
    const error = await refusal(name, { ...valid(name), ...more });
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(Object.keys(more)[0]!) });
    if (closest) expect(error.valid[0]).toBe(closest);
  }); // prettier-ignore

  it('thousands of them are refused in a short sentence', async () => {
    await refusal('get_status', Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`p${n}`, n])));
  });

  it('a prototype key changes nothing for later calls', async () => {
    const args = '{"__proto__":{"limit":1,"workspace":"none"},"limit":2}';
    const message = await sendArguments('list_workspaces', args);
    // Either refused or without effect; never taken for arguments.
    if (toolError(message) === null) expect(message.result.structuredContent.total).toBe(2);
    const { result } = await server.call('list_workspaces');
    expect(result.structuredContent.total).toBe(2);
  });
});
