import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import type { Records } from '../../src/history/records.ts';
import { isOpen } from '../../src/runs/action-run.ts';
import { verifyLedger, type Verification } from '../../src/ledger/verify-ledger.ts';
import { callsEvent, type Call } from '../../src/runs/trail-event.ts';
import { pruneBefore } from './ledger-prune.contract.ts';
import { intentFor, storeRun } from '../support/fill-ledger.ts';

export interface ErasurePlace {
  records: Records;
  /** For keys. */
  home: string;
  /** Everything the ledger's own files hold, once what is buffered is on disk. */
  bytes(): Promise<Buffer>;
  remove(): Promise<void>;
}

const AT = Date.UTC(2026, 4, 1);
const BY = {
  principal: { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' },
  reason: 'asked for it',
};
const ADA = { display: 'Ada Lovelace', subject: '1000:ada', os_user: 'ada', hostname: 'adas-laptop' };
const BOB = { display: 'Bob', os_user: 'deploy', hostname: 'ci-host' };
/** Found nowhere else, so that any trace of them is a trace of Ada. */
const TRACES = [
  'Ada Lovelace',
  'ada lovelace',
  '1000:ada',
  'adas-laptop',
  'adas-secret-reason',
  'adas-cancel-reason',
  'adas-client',
];

/** Promise 9, for any ledger. */
export function erasureContract(name: string, open: () => Promise<ErasurePlace>): void {
  describe(`erasing a person from a ledger on ${name}`, () => {
    let place: ErasurePlace;
    let runs: Record<'ada' | 'cancelled' | 'approved' | 'bob', string>;
    beforeEach(async () => {
      place = await open();
      runs = await fill(place.records);
    });
    afterEach(() => place.remove());

    const erase = (subject: string, logs = false) =>
      place.records.upkeep.erase({ subject, logs, at: AT + 9_000, by: BY });
    const record = async (id: string): Promise<any> => await place.records.ledger.find(id);
    const verify = (): Promise<Verification> =>
      verifyLedger(
        { check: place.records.check, keys: () => loadCheckpointKeys({ home: place.home, given: null }), clock: systemClock, log: () => undefined },
        { anchor: null, incremental: false },
      ); // prettier-ignore

    it('tells what there is and changes nothing', async () => {
      const { size } = await verify();
      const survey = await place.records.upkeep.survey({ subject: 'ADA lovelace', logs: false });
      expect(survey).toMatchObject({ events: 3, runs: 3, requested: [runs.ada] });
      expect([...survey.names].sort()).toEqual(['1000:ada', 'ada lovelace']);
      expect((await verify()).size).toBe(size);
      expect(await record(runs.ada)).toMatchObject({ os_user: 'ada', reason: 'adas-secret-reason' });
      expect(await place.records.upkeep.isErased('Ada Lovelace')).toBe(false);
    });

    it('takes out what is about the person, leaves what is about others, and the chain is whole', async () => {
      const anchor = (await verify()).checkpoint!;
      const before = await record(runs.bob);
      const erased = await erase('ada lovelace');
      // Host, OS user, principal, client, reason; who cancelled and why; who approved.
      expect(erased).toMatchObject({ values: 8, events: 3, runs: 3 });
      const ada = await record(runs.ada);
      for (const field of ['hostname', 'os_user', 'principal', 'client', 'reason']) expect(ada).not.toHaveProperty(field);
      expect(ada).toMatchObject({ status: 'success', workspace: 'shop', approval: { by: 'Bob' } });
      const cancelled = await record(runs.cancelled);
      expect(cancelled).toMatchObject({ principal: { display: 'Bob' }, reason: 'weekly', status: 'cancelled' });
      expect(cancelled.cancelled_by ?? null).toBeNull();
      expect(cancelled.cancel_reason ?? null).toBeNull();
      const approved = await record(runs.approved);
      expect(approved).toMatchObject({ principal: { display: 'Bob' }, os_user: 'deploy' });
      expect(approved).not.toHaveProperty('approval');
      expect(await record(runs.bob)).toEqual(before);

      const verification = await verify();
      expect(verification).toMatchObject({ result: 'not_provable', findings: [], erased_total: 3, size: anchor.size + 1 });
      expect(await place.records.history.names('user', 20)).toEqual(['1:bob', 'bob', 'deploy']);
      expect(await place.records.history.missing([{ column: 'user', name: 'ada' }])).toHaveLength(1);
    }); // prettier-ignore

    it('leaves no byte of it in its own files', async () => {
      const held = await place.bytes();
      for (const trace of TRACES) expect(held.includes(trace), trace).toBe(true);
      await erase('Ada Lovelace');
      expect(await place.records.upkeep.clean('erasing')).toMatchObject({ done: true });
      const left = await place.bytes();
      for (const trace of TRACES) expect(left.includes(trace), trace).toBe(false);
      for (const kept of ['ci-host', 'weekly', runs.ada]) expect(left.includes(kept), kept).toBe(true);
      expect((await verify()).findings).toEqual([]);
    });

    it('remembers that the names are erased, under a key, and says so of no other', async () => {
      await erase('1000:ADA');
      const { isErased } = place.records.upkeep;
      for (const name of ['ada lovelace', ' Ada Lovelace', '1000:ada']) expect(await isErased(name), name).toBe(true);
      for (const name of ['ada', 'Bob', '', 'ada lovelac']) expect(await isErased(name), name).toBe(false);
    }); // prettier-ignore

    it('finds nothing a second time, and chains nothing then', async () => {
      await erase('Ada Lovelace');
      const { size } = await verify();
      expect(await erase('Ada Lovelace')).toMatchObject({ values: 0, events: 0, runs: 0 });
      expect(await erase('Nobody')).toMatchObject({ values: 0 });
      expect((await verify()).size).toBe(size);
    });

    it('records what the person does anew', async () => {
      await erase('Ada Lovelace');
      const run = await storeRun(place.records, { requested_at: AT + 10_000, ...ADA, reason: 'again' });
      expect(await record(run.id)).toMatchObject({ principal: { display: 'Ada Lovelace' }, reason: 'again' });
      expect(await place.records.history.names('user', 20)).toContain('ada lovelace');
      expect((await verify()).findings).toEqual([]);
    });

    it('erases the digests of logs with the logs, and no others', async () => {
      await erase('Ada Lovelace', true);
      expect((await record(runs.ada)).log).toEqual({ lines: 2, bytes: 20, gap: null, sha256: null });
      expect((await record(runs.bob)).log).toMatchObject({ sha256: 'b'.repeat(64) });
      expect((await verify()).findings).toEqual([]);
    });

    it('of an open run lets its supervisor go on, and nothing comes back with the end', async () => {
      const open = await storeRun(place.records, { requested_at: AT + 5_000, ...ADA, status: 'running' });
      await erase('Ada Lovelace');
      const facts = { status: 'success', exit_code: 0, finished_at: AT + 8_000 };
      const ended = await place.records.ledger.append({ kind: 'run_finished', run_id: open.id, at: AT + 8_000, facts, private: {} });
      expect(isOpen(ended)).toBe(false);
      expect(ended).not.toHaveProperty('os_user');
      expect((await verify()).findings).toEqual([]);
    }); // prettier-ignore

    it('takes the person out of the calls that assistants made, and leaves those of others in the same batch', async () => {
      const principal = (name: string) => ({ kind: 'oidc', issuer: 'i', subject: `s-${name}`, display: name }) as const;
      const call = (name: string, id: string): Call => ({
        id, at: AT, tool: 'get_status', outcome: 'answered', code: null, duration_ms: 1, run_id: null,
        principal: principal(name), client: { name: 'c', version: null }, sent: `{"text":"${name} asks"}`,
      });
      const key = await place.records.ledger.key();
      const calls = [call('Bob', 'c-1'), call('Ada Lovelace', 'c-2'), call('Bob', 'c-3')];
      await place.records.trail.append(callsEvent(calls, { at: AT, key, redact: (text) => text }));
      expect(await erase('s-ada lovelace')).toMatchObject({ events: 4, runs: 3 });
      await place.records.upkeep.clean('erasing');
      const query = { filters: { span: { since: null, until: null } }, limit: 9, after: null };
      const left = (await place.records.trail.search(query)).calls.map(({ id, principal: who, arguments: given }) => [id, who !== null, given !== null]);
      expect(left.sort()).toEqual([['c-1', true, true], ['c-2', false, false], ['c-3', true, true]]);
      expect((await place.bytes()).includes('Ada Lovelace')).toBe(false);
      expect((await verify()).findings).toEqual([]);
      await place.records.leases.give({ run_id: runs.cancelled, fence: 1 }, 'delete');
      const before = AT + 99_000;
      await pruneBefore(place, before);
      expect((await place.records.trail.search(query)).total).toBe(0);
      expect((await verify()).findings).toEqual([]);
    }); // prettier-ignore

    it('erases the operator from the record of an erasure, too', async () => {
      await erase('Ada Lovelace');
      expect(await erase('root')).toMatchObject({ events: 1, values: 2, runs: 0 });
      expect((await verify()).findings).toEqual([]);
    });
  });
}

async function fill(records: Records): Promise<Record<'ada' | 'cancelled' | 'approved' | 'bob', string>> {
  const { ledger, leases } = records;
  const log = { lines: 2, bytes: 20, sha256: null, gap: null };
  const store = async (past: object, approver: string | null, sha256: string): Promise<string> => {
    const intent = intentFor({ requested_at: AT, ...past });
    if (approver) intent.event.private['approval'] = { outcome: 'approved', strength: 'client', by: approver, at: AT };
    const key = `key-${intent.event.run_id}`;
    const owner = String((past as typeof ADA).display);
    await ledger.request({ ...intent, idempotency: { scope: `os:${owner}@shop`, key, arguments_digest: 'd', valid_ms: 1_000 } });
    const { run_id } = intent.event;
    const facts = { status: 'success', launched: true, started_at: AT, finished_at: AT + 1, exit_code: 0, log };
    await ledger.append({ kind: 'run_finished', run_id, at: AT + 1, facts, private: { 'log.sha256': sha256 } });
    await leases.give({ run_id, fence: 1 }, 'delete');
    return run_id;
  }; // prettier-ignore
  const ada = await store(
    { ...ADA, reason: 'adas-secret-reason', client: 'adas-client' },
    'Bob',
    'a'.repeat(64),
  );
  const running = await storeRun(records, { requested_at: AT, ...BOB, reason: 'weekly', status: 'running' });
  await ledger.append({
    kind: 'run_cancel_requested',
    run_id: running.id,
    at: AT + 3,
    facts: { status: 'cancelled' },
    private: { cancelled_by: 'Ada Lovelace', cancel_reason: 'adas-cancel-reason' },
  });
  const approved = await store({ ...BOB }, 'Ada Lovelace', 'c'.repeat(64));
  const bob = await store({ ...BOB, reason: 'mine' }, null, 'b'.repeat(64));
  return { ada, cancelled: running.id, approved, bob };
}
