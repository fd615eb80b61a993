import { beforeEach, describe, expect, it } from 'vitest';
import { createIds } from '../../src/adapters/host/host.ts';
import type { Intent, IntentRequest } from '../../src/runs/run-ledger.ts';
import { createCallRecorder, warningOf, type CallEnd, type CallRecorder } from '../../src/runs/trail.ts';
import type { CallsEvent } from '../../src/runs/trail-event.ts';
import { AppError } from '../../src/shared/errors.ts';
import type { Clock } from '../../src/shared/ports.ts';
import { intentFor } from '../support/fill-ledger.ts';

// A fake store: a ledger that fails and comes back at a given moment, and a clock that tests turn.

const CALLER = {
  principal: { kind: 'os', issuer: null, subject: '1:ada', display: 'ada' } as const,
  roles: [],
  client: null,
};
const READ: CallEnd = { outcome: 'answered', reads: true };
const REFUSED: CallEnd = { outcome: 'refused', code: 'unknown_name', reads: false };

let now: number;
let sleepers: { at: number; wake: () => void }[];
let stored: CallsEvent[];
/** Why it cannot store; a promise: for how long it does not answer. */
let failure: Error | Promise<void> | null;
let recorder: CallRecorder;

const clock: Clock = {
  now: () => now,
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      sleepers.push({ at: now + ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve());
    }),
};

beforeEach(() => {
  [now, sleepers, stored, failure] = [1_000_000, [], [], null];
  recorder = createCallRecorder({
    append: async (event) => {
      if (failure instanceof Error) throw failure;
      await failure;
      stored.push(event);
    },
    key: async () => new Uint8Array(32),
    redact: (text) => text,
    ids: createIds(clock),
    clock,
    log: () => undefined,
  });
});

/** Turns the clock, and lets everything happen that waits for it. */
async function pass(ms: number): Promise<void> {
  now += ms;
  const due = sleepers.filter(({ at }) => at <= now);
  sleepers = sleepers.filter(({ at }) => at > now);
  for (const { wake } of due) wake();
  await settled();
}

/** All promises that depend on nothing but each other. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const call = (tool: string, end: CallEnd, given: unknown = {}): Promise<void> =>
  recorder.begin({ tool, given, caller: CALLER }).end(end);
const tools = (): string[][] =>
  stored.map(({ facts }) => (facts['calls'] as { tool: string }[]).map(({ tool }) => tool));

async function launched(how: (intent: IntentRequest) => Promise<Intent>): Promise<{ intent: IntentRequest | null }> {
  let intent: IntentRequest | null = null;
  const entry = recorder.begin({ tool: 'run_action', given: {}, caller: CALLER });
  await entry.launch(intentFor({ requested_at: now }), (whole) => how((intent = whole))).catch(() => undefined);
  return { intent };
} // prettier-ignore

describe('calls that only read', () => {
  it('are stored before their answer if nothing was within a second, else a second later as one event', async () => {
    await call('first', READ);
    expect(tools()).toEqual([['first']]);
    await call('a', READ);
    await call('b', READ);
    await pass(999);
    expect(tools()).toEqual([['first']]);
    await pass(1);
    expect(tools()).toEqual([['first'], ['a', 'b']]);
    await pass(60_000);
    expect(stored).toHaveLength(2);
    await call('c', READ);
    expect(tools()[2]).toEqual(['c']);
  });

  it('are stored before their answer if the clock was set back', async () => {
    await call('first', READ);
    now -= 7_200_000;
    await call('a', READ);
    expect(tools()).toEqual([['first'], ['a']]);
  });

  it('are stored earlier where there are too many to wait, and none is lost', async () => {
    await call('first', READ);
    for (let n = 0; n < 1_000; n++) await call('many', READ);
    await settled();
    expect(tools()).toEqual([['first'], Array.from({ length: 1_000 }, () => 'many')]);
    for (let n = 0; n < 3; n++) await call('large', READ, { text: 'x'.repeat(400_000) });
    await settled();
    expect(tools()[2]).toEqual(['large', 'large', 'large']);
  });

  it('are stored when the server closes, and nothing waits afterwards', async () => {
    await call('first', READ);
    await call('a', READ);
    await recorder.close();
    expect(tools()).toEqual([['first'], ['a']]);
  });
});

describe('every other call', () => {
  it('is stored before it is answered, behind those that waited', async () => {
    await call('first', READ);
    await call('a', READ);
    await call('b', REFUSED);
    expect(tools()).toEqual([['first'], ['a', 'b']]);
  });

  it('goes with the intent if it launches, together with those that waited', async () => {
    await call('first', READ);
    await call('a', READ);
    const { intent } = await launched(async ({ event }) => ({ outcome: 'stored', run: { id: event.run_id } as never, fence: 1 }));
    const calls = intent!.calls!.facts['calls'] as unknown[];
    expect(calls).toMatchObject([{ tool: 'a' }, { tool: 'run_action', outcome: 'launched', run_id: intent!.event.run_id }]);
    await recorder.flush();
    expect(tools()).toEqual([['first']]);
  }); // prettier-ignore

  it.each([
    ['was refused', async (): Promise<Intent> => ({ outcome: 'active', run_id: 'x' })],
    ['could not be stored', () => Promise.reject(new AppError('ledger_unavailable', 'no'))],
  ])('leaves those that waited where they are if its intent %s', async (_name, how) => {
    await call('first', READ);
    await call('a', READ);
    await launched(how);
    await call('b', REFUSED);
    expect(tools()).toEqual([['first'], ['a', 'b']]);
  });
});

describe('a ledger that cannot store calls', () => {
  it('is told of with the first read that comes a second after the last was stored', async () => {
    await call('a', READ);
    failure = new Error('disk full');
    await pass(999);
    await call('b', READ);
    expect(warningOf(recorder.standing())).toBeNull();
    await pass(1);
    await call('c', READ);
    expect(warningOf(recorder.standing())).toMatch(/^this call and 1 more are not recorded yet.*disk full/);
  });

  it('and does not say so either is waited for by one read, for a second', async () => {
    await call('a', READ);
    let answer: () => void = () => undefined;
    failure = new Promise<void>((resolve) => (answer = resolve));
    await pass(1_000);
    const first = call('b', READ).then(() => 'answered');
    const meanwhile = (): Promise<string> => Promise.race([first, settled().then(() => 'waits')]);
    await pass(999);
    expect(await meanwhile()).toBe('waits');
    await pass(1);
    expect(await meanwhile()).toBe('answered');
    expect(warningOf(recorder.standing())).toMatch(/^this call is not recorded yet,.*does not answer/);
    await call('c', READ);
    expect(warningOf(recorder.standing())).toMatch(/^this call and 1 more are/);
    failure = null;
    answer();
    await settled();
    expect(recorder.standing()).toEqual({ recording: true, problem: null, waiting: 0 });
    expect(tools()).toEqual([['a'], ['b'], ['c']]);
  });

  it('is told of with every answer, and forgotten once it can', async () => {
    failure = new Error('disk full');
    await call('a', REFUSED);
    expect(warningOf(recorder.standing())).toMatch(/not recorded yet.*disk full/);
    await call('b', READ);
    await pass(4_999);
    failure = null;
    expect(warningOf(recorder.standing())).not.toBeNull();
    await pass(1);
    expect(warningOf(recorder.standing())).toBeNull();
    expect(tools()).toEqual([['a', 'b']]);
  });

  it('is not waited for again by each call', async () => {
    failure = new Error('out of reach');
    await call('a', REFUSED);
    failure = null;
    await call('b', REFUSED);
    expect(stored).toEqual([]);
    await pass(5_000);
    expect(tools()).toEqual([['a', 'b']]);
  });

  it('gets with the next launch what could not be stored before', async () => {
    failure = new Error('out of reach');
    await call('a', REFUSED);
    const { intent } = await launched(async ({ event }) => ({ outcome: 'stored', run: { id: event.run_id } as never, fence: 1 }));
    expect(intent!.calls!.facts['calls']).toMatchObject([{ tool: 'a' }, { tool: 'run_action' }]);
    expect(recorder.standing().problem).toBeNull();
  }); // prettier-ignore

  it('learns how many calls were lost when the memory for them is full', async () => {
    failure = new Error('out of reach');
    for (let n = 0; n < 1_007; n++) await call('many', READ);
    for (let n = 0; n < 5; n++) await pass(5_000);
    for (let n = 0; n < 3; n++) await call('more', READ);
    failure = null;
    await pass(5_000);
    const all = tools().flat();
    expect(all.filter((tool) => tool === 'many')).toHaveLength(1_000);
    expect(all.filter((tool) => tool === 'trail')).toHaveLength(1);
    const { private: values, facts } = stored[0]!;
    const gap = (facts['calls'] as unknown[]).length - 1;
    expect(values[`${gap}.arguments`]).toEqual({ lost: 10 });
  });
});

it('a call whose arguments cannot be read is recorded all the same', async () => {
  let deep: unknown = 'end';
  for (let n = 0; n < 100_000; n++) deep = [deep];
  await call('a', REFUSED, deep);
  expect(tools()).toEqual([['a']]);
});
