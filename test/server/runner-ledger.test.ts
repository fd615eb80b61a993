import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Identity } from '../../src/access/identity.ts';
import type { RunnerLedger } from '../../src/adapters/runner-ledger/index.ts';
import { createFetch } from '../../src/adapters/polycrate-api/fetch.ts';
import { makeCertificate } from '../contract-server/start.ts';
import { RUNNER_PREFIX } from '../../src/runners/protocol.ts';
import type { RunEvent } from '../../src/runs/action-run.ts';
import type { IntentRequest } from '../../src/runs/run-ledger.ts';
import type { JsonObject } from '../../src/shared/json.ts';
import { intentFor, mintId, type Past } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import {
  connectRunner,
  MACHINE_IDENTITY,
  startRunnerServer,
  type RunnerServer,
} from '../support/runner-server.ts';
import { until } from '../support/until.ts';

// What a runner cannot do to the ledger of its server, and what the network cannot.

const NOW = Date.now();
const HOUR = 3_600_000;
const CALL = 'call-1';
const scoped = (scope: Identity['scope']): Identity => ({ ...MACHINE_IDENTITY, scope });

let folder: Awaited<ReturnType<typeof tempFolder>>;
let server: RunnerServer;
let open: RunnerLedger[] = [];
const start = (port = 0): Promise<RunnerServer> =>
  startRunnerServer({
    home: folder.path,
    port,
    identities: { key: MACHINE_IDENTITY, elsewhere: scoped(['acme/other']), reader: { ...MACHINE_IDENTITY, roles: ['admin'] } },
    calls: {
      intentOf: async (_machine, intent, call) => {
        if (call === CALL) return intent;
        throw new Error('not the call');
      },
      stepOf: async (_machine, intent) => intent,
      asked: async (_machine, _run, event) => event,
    },
  }); // prettier-ignore
beforeAll(async () => {
  folder = await tempFolder('ledger');
  server = await start();
});
afterEach(async () => {
  server.fault = null;
  await Promise.all(open.map((one) => one.close()));
  open = [];
});
afterAll(async () => {
  await server.close();
  await folder.remove();
});

const connect = (more: Partial<Parameters<typeof connectRunner>[0]> = {}): RunnerLedger => {
  const runner = connectRunner({ url: server.url, home: folder.path, ...more });
  open.push(runner);
  return runner;
};
const intent = (past: Partial<Past> = {}, more: Partial<IntentRequest> = {}): IntentRequest => {
  const whole = intentFor({ requested_at: NOW, ...past });
  // As the product has it: about a person's folder.
  const { workspace_path = null, ...facts } = whole.event.facts;
  const event = { ...whole.event, facts, private: { ...whole.event.private, workspace_path } };
  return { ...whole, event, ...more };
};
const begun = async (runner: RunnerLedger, asked = intent()): Promise<string> => {
  expect(await runner.ledgerFor(CALL).request(asked)).toMatchObject({ outcome: 'stored' });
  return asked.event.run_id;
};
const event = (run_id: string, kind: RunEvent['kind'], facts: JsonObject = {}, own: JsonObject = {}): RunEvent => ({
  kind, run_id, at: NOW, facts, private: own,
}); // prettier-ignore
const events = async (): Promise<number> => (await server.records.ledger.status()).events;
const refused = { code: 'refused' };

/** Handles a request and loses its answer, so often. */
const losing = (method: string, times: number) => {
  let left = times;
  return ({ url = '', socket }: IncomingMessage, response: ServerResponse): boolean => {
    if (!url.endsWith(method) || left === 0) return false;
    left -= 1;
    response.writeHead = (() => socket.destroy()) as never;
    return false;
  };
};

describe('the network', () => {
  it('loses answers, and nothing is stored twice', async () => {
    const runner = connect();
    server.fault = losing('ledger/request', 2);
    const before = await events();
    const run_id = await begun(runner);
    expect(await events()).toBe(before + 1);
    const guard = { run_id, fence: 1 };
    server.fault = losing('ledger/append', 1);
    const facts = { status: 'running', launched: true, started_at: NOW };
    await runner.ledger.append(event(run_id, 'run_started', facts), guard, { phase: 'running', ref: 'c' });
    expect(await events()).toBe(before + 2);
    server.fault = losing('leases/take', 1);
    const { owner } = (await runner.leases.list()).find((lease) => lease.run_id === run_id)!;
    expect(await runner.leases.take(guard, owner, NOW)).toMatchObject({
      fence: 2,
      phase: 'running',
      ref: 'c',
    });
  });

  it('loses all answers: nobody launches it, and what was stored is free as soon as the server answers', async () => {
    const runner = connect({ patience_ms: 200 });
    server.fault = losing('ledger/request', 100);
    const asked = intent();
    await expect(runner.ledgerFor(CALL).request(asked)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    server.fault = null;
    const { run_id } = asked.event;
    await until(() => runner.leases.list(), (leases) => leases.some((lease) => lease.run_id === run_id && lease.expires_at === 0));
  }); // prettier-ignore

  it('or a restart of the server delays a write, and does not lose it', async () => {
    const runner = connect();
    const run_id = await begun(runner);
    const port = Number(new URL(server.url).port);
    await server.close();
    const changed = runner.watch.changed(30_000);
    const end = { status: 'success', exit_code: 0, launched: true, finished_at: NOW };
    const stored = runner.ledger.append(event(run_id, 'run_finished', end), { run_id, fence: 1 });
    server = await start(port);
    expect(await stored).toMatchObject({ status: 'success' });
    await changed;
  });

  it('brings nobody in whose key is wrong, and a new key goes on', async () => {
    let key = 'wrong';
    const runner = connect({ key: () => key });
    await expect(runner.leases.list()).rejects.toMatchObject({ code: 'ledger_unavailable', next: expect.stringContaining('machine') });
    key = 'reader';
    await expect(runner.leases.list()).rejects.toMatchObject(refused);
    key = 'key';
    expect(await runner.leases.now()).toBeGreaterThanOrEqual(NOW);
  }); // prettier-ignore
});

it('a server behind an authority of the operator is reached, and by nobody else', async () => {
  const certificate = makeCertificate(folder.path);
  const [key, cert] = [readFileSync(certificate.key), readFileSync(certificate.cert)];
  const secure = createServer({ key, cert }, (_request, response) => response.end('{"value":[]}'));
  await once(secure.listen(0, '127.0.0.1'), 'listening');
  const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
  const fetch = createFetch({
    ca: async () => cert.toString(),
    proxies: { http: null, https: null, none: null },
  });
  expect(await connect({ url, fetch }).leases.list()).toEqual([]);
  await expect(connect({ url, patience_ms: 0 }).leases.list()).rejects.toMatchObject({
    code: 'ledger_unavailable',
  });
  secure.closeAllConnections();
  secure.close();
});

describe('another runner', () => {
  it('neither sees nor touches what this one supervises', async () => {
    const [runner, other] = [connect(), connect({ place: 'another-place-of-a-runner' })];
    const run_id = await begun(runner);
    const guard = { run_id, fence: 1 };
    const [lease] = (await runner.leases.list()).filter((one) => one.run_id === run_id);
    expect(lease!.owner.place).toBe('a-place-of-a-runner');
    expect(await other.leases.list()).toEqual([]);
    expect(JSON.stringify(await server.records.leases.list())).not.toContain('a-place-of-a-runner');
    // Nor where it says that it is that one.
    const stored = (await server.records.leases.list()).find((one) => one.run_id === run_id)!;
    const pretending = connect({ place: stored.owner.place! });
    for (const stranger of [other, pretending]) {
      expect(await stranger.leases.take(guard, stored.owner, NOW + HOUR)).toBeNull();
      expect(await stranger.leases.renew(stored.owner, NOW + HOUR)).toEqual([]);
      for (const how of ['release', 'delete'] as const) await stranger.leases.give(guard, how);
      const end = event(run_id, 'run_finished', { status: 'success' });
      await expect(stranger.ledger.append(end, guard)).rejects.toMatchObject({ code: 'lease_lost' });
    }
    const writing = post(
      'logs/write',
      { run_id, piece: 0, offset: 0, text: 'o2\tx\n' },
      'another-place-of-a-runner',
    );
    expect((await writing).status).toBe(409);
    expect(await runner.leases.list()).toContainEqual(lease);
  });

  it('knows nothing of workspaces that its key does not reach', async () => {
    const [runner, other] = [
      connect(),
      connect({ key: () => 'elsewhere', place: 'another-place-of-a-runner' }),
    ];
    const untold = { call: 'c', teller: intent().lease.owner, valid_ms: HOUR };
    const run_id = await begun(runner, intent({}, { untold }));
    expect(await other.ledger.find(run_id)).toBeNull();
    expect(await other.untold.find('c', NOW)).toEqual([]);
    expect(await other.ledger.status()).toMatchObject({ runs: { total: 0, open: 0 }, events: 0 });
    await expect(other.ledgerFor(CALL).request(intent())).rejects.toMatchObject(refused);
    const taken = intent({ id: run_id, workspace: 'other' });
    await expect(other.ledgerFor(CALL).request(taken)).rejects.toMatchObject(refused);
    await begun(other, intent({ workspace: 'other' }));
  });
});

describe('a forged record', () => {
  it('of a run that nobody asked for, or that is something already, is refused', async () => {
    const runner = connect();
    const odd = (facts: JsonObject, own: JsonObject = {}): IntentRequest => {
      const one = intent();
      return { ...one, event: { ...one.event, facts: { ...one.event.facts, ...facts }, private: { ...one.event.private, ...own } } };
    };
    const before = await events();
    await expect(runner.ledger.request(intent())).rejects.toMatchObject(refused);
    for (const forged of [
      odd({ status: 'success' }), odd({ launched: true }), odd({ source: 'api' }), odd({ id: mintId() }), odd({ requested_at: 1 }),
      odd({ approvals: [] }), odd({ aliases: [{ source: 'api', endpoint: null, id: 'x' }] }), odd({}, { claimed_principal: null }),
      ...[-HOUR, HOUR].map((off) => intent({ requested_at: NOW + off })),
      odd(JSON.parse('{"__proto__":{"x":1}}') as JsonObject),
    ]) await expect(runner.ledgerFor(CALL).request(forged), JSON.stringify(forged)).rejects.toMatchObject(refused);
    const kind = { ...intent(), event: { ...intent().event, kind: 'run_imported' as const } };
    await expect(runner.ledgerFor(CALL).request(kind)).rejects.toMatchObject(refused);
    expect(await events()).toBe(before);
  }); // prettier-ignore

  it('of what no supervisor sees is refused', async () => {
    const runner = connect();
    const run_id = await begun(runner, intent({ display: 'Ada' }));
    const before = await events();
    const alias = (source: string, id = 'x') => ({ alias: { source, endpoint: null, id } });
    const forged: RunEvent[] = [
      event(run_id, 'run_approval_answered', { outcome: 'approved', strength: 'key' }),
      event(run_id, 'run_submitted', { api: null }),
      event(run_id, 'run_imported', { status: 'success' }),
      event(run_id, 'run_seen_elsewhere', {}),
      event(run_id, 'run_requested', { reason: 'other' }),
      event(run_id, 'run_queued', {}),
      event(run_id, 'run_started', { status: 'success' }),
      event(run_id, 'run_started', { approved_at: NOW }),
      event(run_id, 'run_started', {}, { principal: null }),
      event(run_id, 'run_started', { 'principal.display': 'Eve' }),
      event(run_id, 'run_finished', { status: 'pending' }),
      event(run_id, 'run_finished', { status: 'success', requested_at: 1 }),
      event(run_id, 'run_finished', { status: 'success' }, { reason: 'other' }),
      event(run_id, 'run_approval_asked', { approval_request: {}, approvals: [], approval: null, approved_at: null }),
      event(run_id, 'run_cancel_requested', {}, { cancelled_by: 'Eve', cancel_reason: null }),
      event(run_id, 'run_alias_added', alias('api')),
      event(run_id, 'run_alias_added', alias('cli', run_id)),
    ];
    for (const one of forged)
      await expect(runner.ledger.append(one), JSON.stringify(one)).rejects.toMatchObject(refused);
    await expect(runner.ledger.append(event('0c0a0000-0000-4000-8000-000000000009', 'run_started'))).rejects.toMatchObject({ code: 'unknown_name' });
    const guard = { run_id, fence: 1 };
    await expect(runner.leases.give(guard, 'delete')).rejects.toMatchObject(refused);
    const start = event(run_id, 'run_started', { status: 'running' });
    await expect(runner.ledger.append(start, guard, { release: true })).rejects.toMatchObject(refused);
    expect(await events()).toBe(before);
    expect(await runner.ledger.append(event(run_id, 'run_alias_added', alias('cli')))).toMatchObject({ status: 'pending' });
  }); // prettier-ignore

  it('of an agreement is refused: it goes on when its record has it', async () => {
    const runner = connect();
    const waits = intent({ display: 'Ada' });
    const run_id = await begun(runner, { ...waits, lease: { ...waits.lease, executor: 'approval' } });
    const guard = { run_id, fence: 1 };
    const approval_request = {
      count: 1, role: null, strength: 'key', nonce: 'n', plan_digest: 'd', rule: 'r', why: 'w', asked_at: NOW,
      expires_at: NOW + HOUR, again: null, shown: [], drift: [], mode: null, alone: false,
    };
    const asked = { approval_request, approvals: [], approval: null, approved_at: null };
    const forged = [{ ...asked, approved_at: NOW }, { ...asked, approvals: [{}] }, { ...asked, approval: {} }];
    for (const facts of forged)
      await expect(runner.ledger.append(event(run_id, 'run_approval_asked', facts))).rejects.toMatchObject(refused);
    await runner.ledger.append(event(run_id, 'run_approval_asked', asked), guard);
    const launch = event(run_id, 'run_started', { status: 'running', launched: true });
    for (const early of [launch, event(run_id, 'run_finished', { status: 'success', launched: true })])
      await expect(runner.ledger.append(early, guard)).rejects.toMatchObject(refused);
    const go = () => runner.leases.promote(guard, { executor: 'docker', alone: false });
    await expect(go()).rejects.toMatchObject(refused);
    const answer = {
      run_id, nonce: 'n', plan_digest: 'd', outcome: 'approved', reason: null, at: NOW, now: NOW, proof: 'key', person: 'bea', requester_person: 'ada',
      approver: { principal: { kind: 'key', issuer: 'l', subject: 'bea', display: 'bea' }, roles: ['approver'] },
    } as const;
    await expect(runner.ledger.answer(answer)).rejects.toMatchObject(refused);
    expect((await post('ledger/answer', answer)).status).toBe(404);
    await server.records.ledger.answer(answer);
    for (const _ of [1, 2]) expect(await go()).toBeNull();
    expect(await runner.ledger.append(launch, guard)).toMatchObject({ status: 'running' });
  }); // prettier-ignore

  it('of a step is refused unless its workflow names it and its requester is the same', async () => {
    const runner = connect();
    const flow = intent({ kind: 'workflow', workflow: 'release', block: null, action: null, display: 'Ada' });
    const run_id = mintId();
    const steps = [{ name: 'one', block: 'db', reference: 'db', action: 'restart', run_id, plan_digest: 'd', not_run: null }];
    Object.assign(flow.event.facts, { steps, allow_failure: false });
    const parent = await begun(runner, { ...flow, lease: { ...flow.lease, executor: 'workflow' } });
    const step = (id: string, facts: JsonObject = {}, display = 'Ada') => {
      const one = intent({ id, display, workflow: 'release', trigger: 'workflow' });
      Object.assign(one.event.facts, { parent, step: 'one', ...facts });
      return one;
    };
    const strangers = [
      step(mintId()), step(run_id, { block: 'web' }), step(run_id, { workspace: 'other' }), step(run_id, { approved_at: NOW }), step(run_id, {}, 'Eve'),
      step(run_id, { parent: mintId() }),
    ];
    for (const stranger of strangers) await expect(runner.ledger.request(stranger)).rejects.toMatchObject(refused);
    const other = connect({ place: 'another-place-of-a-runner' });
    await expect(other.ledger.request(step(run_id))).rejects.toMatchObject(refused);
    expect(await runner.ledger.request(step(run_id))).toMatchObject({ outcome: 'stored' });
    const stop = event(run_id, 'run_cancel_requested', {}, { cancelled_by: null, cancel_reason: 'the time limit of its workflow is over' });
    expect(await runner.ledger.append(stop)).toMatchObject({ status: 'pending' });
    expect((await runner.leases.list()).find((lease) => lease.run_id === run_id)).toMatchObject({ cancel_requested: true });
  }); // prettier-ignore

  it('of a log that is none is refused', async () => {
    const run_id = await begun(connect());
    const write = async (text: string, more = {}) => (await post('logs/write', { run_id, piece: 0, offset: 0, text, ...more })).status;
    for (const text of ['no line\n', 'o2\tno end', '#{"lines":1}\n', 'x2\ta\n']) expect(await write(text), text).toBe(400);
    expect(await write('o2\ta\n', { run_id: '../../x' })).toBe(400);
    expect(await write('o2\ta\n', { offset: 9 })).toBe(200);
    expect(await server.logs.read(run_id, { mode: 'head', lines: 9, line: 1, stream: null, matches: null })).toMatchObject({ lines: [] });
  }); // prettier-ignore
});

async function post(method: string, body: object, place = 'a-place-of-a-runner'): Promise<Response> {
  const headers = { 'Content-Type': 'application/json', Authorization: 'Bearer key', 'Polycrate-Runner-Place': place };
  return await fetch(new URL(`${RUNNER_PREFIX}${method}`, server.url), { method: 'POST', headers, body: JSON.stringify(body) });
} // prettier-ignore
