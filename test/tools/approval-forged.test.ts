import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tempFolder } from '../support/mcp.ts';
import { startRaw, toolError, type Message, type Raw } from '../support/raw.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

const YES = { approve: { action: 'accept', content: { approve: true } } };

let home: Awaited<ReturnType<typeof tempFolder>>;
let root: Awaited<ReturnType<typeof tempFolder>>;
let server: Raw;

beforeAll(async () => {
  [home, root] = await Promise.all([tempFolder('home'), tempFolder('root')]);
  const actions = [script('hello', 'echo hello'), script('other', 'echo other')];
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks: { db: { actions }, web: { actions } } });
  server = start();
}); // prettier-ignore
afterAll(async () => {
  await server.end();
  await Promise.all([home.remove(), root.remove()]);
});

function start(): Raw {
  const env = { ...localSettings(root.path), POLYCRATE_MCP_RUN_MODE: 'ask' };
  return startRaw({ home: home.path, env, capabilities: { elicitation: {} } });
}

const target = (more: Record<string, unknown> = {}) => ({
  workspace: 'shop', block: 'db', action: 'hello', wait_seconds: 50, ...more,
}); // prettier-ignore
const total = async (): Promise<number> =>
  (await server.call('search_action_runs', { include_excluded: true })).result.structuredContent.total;

async function question(args = target()): Promise<string> {
  const { result } = await server.call('run_action', args);
  expect(result.resultType).toBe('input_required');
  return result.requestState;
}

/** True: the human is asked once more, which means that the answer counted for nothing. */
const askedAgain = ({ result }: Message): boolean => result?.resultType === 'input_required';

describe('nothing is launched by', () => {
  let before: number;
  beforeEach(async () => {
    before = await total();
  });

  it('an answer without the state of its question', async () => {
    expect(askedAgain(await server.call('run_action', target(), { inputResponses: YES }))).toBe(true);
    expect(await total()).toBe(before);
  });

  it.each([
    ['a changed signature', (state: string) => `${state.slice(0, -4)}AAAA`],
    ['a changed payload', (state: string) => tampered(state)],
    ['another version', (state: string) => state.replace(/^v1/, 'v0')],
    ['nothing in it', () => 'v1..'],
    ['no form at all', () => 'yes'],
    ['ten thousand characters', () => 'v1.'.padEnd(10_000, 'A')],
  ])('a state with %s', async (_, forge) => {
    const state = forge(await question());
    const { error } = await server.call('run_action', target(), { inputResponses: YES, requestState: state });
    expect(error).toMatchObject({ code: -32602 });
    expect(await total()).toBe(before);
  });

  it.each([
    ['another block', 'run_action', target({ block: 'web' })],
    ['another action', 'run_action', target({ action: 'other' })],
    ['another time limit', 'run_action', target({ timeout_seconds: 5 })],
    ['another reason', 'run_action', target({ reason: 'else' })],
    ['a key', 'run_action', target({ idempotency_key: 'else' })],
    ['concurrency', 'run_action', target({ allow_concurrent: true })],
  ])('the state of another call: %s', async (_, name, args) => {
    const requestState = await question();
    expect(askedAgain(await server.call(name, args, { inputResponses: YES, requestState }))).toBe(true);
    expect(await total()).toBe(before);
  });

  it('the state of another server process', async () => {
    const other = start();
    const { result } = await other.call('run_action', target());
    const answer = { inputResponses: YES, requestState: result.requestState };
    expect((await server.call('run_action', target(), answer)).error).toMatchObject({ code: -32602 });
    expect(await total()).toBe(before);
    await other.end();
  });

  it.each([
    ['a word instead of true', { approve: { action: 'accept', content: { approve: 'true' } } }],
    ['a number', { approve: { action: 'accept', content: { approve: 1 } } }],
    ['no content', { approve: { action: 'accept' } }],
    ['another question', { confirm: { action: 'accept', content: { approve: true } } }],
    ['a decline with a yes inside', { approve: { action: 'decline', content: { approve: true } } }],
  ])('an answer with %s', async (_, inputResponses) => {
    const requestState = await question();
    const message = await server.call('run_action', target(), { inputResponses, requestState });
    const refused = message.error !== undefined || toolError(message)?.code === 'approval_declined';
    expect(refused || askedAgain(message), JSON.stringify(message)).toBe(true);
    expect(await total()).toBe(before);
  });
});

it('one state launches one run, however often it is sent', async () => {
  const before = await total();
  const answer = { inputResponses: YES, requestState: await question() };
  const all = await Promise.all(
    [1, 2, 3].map(() => server.call('run_action', target({ wait_seconds: 0 }), answer)),
  );
  expect(all.filter((message) => message.result?.structuredContent?.launched !== undefined)).toHaveLength(1);
  const codes = all.map((message) => toolError(message)?.code).filter((code) => code !== undefined);
  expect(codes).toHaveLength(2);
  for (const code of codes) expect(['refused', 'already_active']).toContain(code);
  const run_id = all.map((message) => message.result.structuredContent?.run.id).find(Boolean);
  await server.call('wait_for_action_run', { run_id });
  const late = await server.call('run_action', target(), answer);
  expect(toolError(late)).toMatchObject({
    code: 'refused',
    message: expect.stringContaining('used already'),
  });
  expect(await total()).toBe(before + 1);
});

it('the state of a re-trigger is not that of another run', async () => {
  const answer = { inputResponses: YES, requestState: await question() };
  const first = (await server.call('run_action', target(), answer)).result.structuredContent.run.id;
  const args = { run_id: first, wait_seconds: 50 };
  const { result } = await server.call('retrigger_action_run', args);
  const yes = { inputResponses: YES, requestState: result.requestState };
  const before = await total();
  expect(askedAgain(await server.call('run_action', target(), yes))).toBe(true);
  expect(askedAgain(await server.call('retrigger_action_run', { ...args, mode: 'current' }, yes))).toBe(true);
  expect(await total()).toBe(before);
  expect((await server.call('retrigger_action_run', args, yes)).result.structuredContent.succeeded).toBe(
    true,
  );
});

it('how long to wait may change between question and answer', async () => {
  const answer = { inputResponses: YES, requestState: await question() };
  const { result } = await server.call('run_action', target({ wait_seconds: 20 }), answer);
  expect(result.structuredContent.succeeded).toBe(true);
});

it('a client without the capability is not asked, whatever else it sends', async () => {
  const mute = startRaw({ home: home.path, env: { ...localSettings(root.path), POLYCRATE_MCP_RUN_MODE: 'ask' } });
  const message = await mute.call('run_action', target(), { inputResponses: YES });
  expect(toolError(message)?.code).toBe('approval_unavailable');
  await mute.end();
}); // prettier-ignore

it.each([
  ['while the client waits launches one run', false, 1],
  ['after the client gave up launches nothing', true, 0],
])('a yes that comes %s', async (_, givesUp, launched) => {
  const before = await total();
  const old = start();
  const id = old.nextId();
  const clientInfo = { name: 'old', version: '1' };
  const capabilities = { elicitation: {} };
  old.send({ id, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities, clientInfo } });
  await old.answer(id);
  old.send({ method: 'notifications/initialized' });
  const call = old.nextId();
  const asked = serverRequest(old, 'elicitation/create');
  old.send({ id: call, method: 'tools/call', params: { name: 'run_action', arguments: target() } });
  const elicitation = await asked;
  if (givesUp) old.send({ method: 'notifications/cancelled', params: { requestId: call } });
  old.send({ id: elicitation.id!, result: { action: 'accept', content: { approve: true } } });
  if (!givesUp) await old.answer(call);
  // Whatever the yes started is under way or recorded once a later call of the same kind was answered.
  const plan = old.nextId();
  old.send({
    id: plan,
    method: 'tools/call',
    params: { name: 'plan_action', arguments: { workspace: 'shop', block: 'db', action: 'hello' } },
  });
  await old.answer(plan);
  expect((await old.end()).code).toBe(0);
  expect(await total()).toBe(before + launched);
});

function serverRequest(raw: Raw, method: string): Promise<Message> {
  return new Promise((resolve) => {
    raw.process.stdout!.on('data', () => {
      const found = raw.lines.map((line) => JSON.parse(line) as Message).find((one) => one.method === method);
      if (found) resolve(found);
    });
  });
}

function tampered(state: string): string {
  const [version, payload, signature] = state.split('.');
  const text = Buffer.from(payload!, 'base64url')
    .toString()
    .replace(/"plan":"\w{4}/, '"plan":"0000');
  return [version, Buffer.from(text).toString('base64url'), signature].join('.');
}
