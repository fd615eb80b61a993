import { describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import type { ActionRun, RunEvent } from '../../src/runs/action-run.ts';
import type { Intent, IntentRequest, RunLedger } from '../../src/runs/run-ledger.ts';
import type { ProcessIdentity } from '../../src/shared/ports.ts';
import { intentFor, mintId, type Past } from '../support/fill-ledger.ts';
import { usePlace } from './use-place.ts';

/** One kind of ledger. A place is one empty ledger; every connection to it is independent of the others. */
export interface LedgerKind {
  name: string;
  place(): Promise<{ at: string; remove(): Promise<void> }>;
  connect(at: string): Records;
  /** Starts a process with a connection of its own that answers one call and then waits. */
  request(at: string, intent: IntentRequest): Promise<{ intent: Intent; kill(): Promise<void> }>;
}

const NOW = Date.UTC(2026, 8, 1);
const DAY = 24 * 3_600_000;

export function owner(pid: number): ProcessIdentity {
  return { host: 'here', boot_id: 'boot', pid_ns: 'ns', pid, pid_start: `${pid}` };
}

/** What every ledger promises (design.md section 5), whatever stores it. */
export function ledgerContract(kind: LedgerKind): void {
  describe(`the ledger on ${kind.name}`, () => {
    const { connect, at } = usePlace(kind);

    it('an intent that was answered survives kill -9 at that instant', async () => {
      const intent = intentFor({ requested_at: NOW, reason: 'why', display: 'alice' });
      const child = await kind.request(at(), intent);
      await child.kill();
      expect(child.intent).toMatchObject({ outcome: 'stored', fence: 1 });
      const { ledger, leases } = connect();
      expect(await ledger.find(intent.event.run_id)).toMatchObject({ status: 'pending', launched: false, reason: 'why' });
      expect(await leases.list()).toMatchObject([{ run_id: intent.event.run_id, fence: 1, phase: 'launching' }]);
    }); // prettier-ignore

    describe('a request', () => {
      const key = (more = {}) => ({ scope: 's', key: 'k', arguments_digest: 'a', valid_ms: DAY, ...more });
      const intent = (past: Partial<Past> = {}, more: Partial<IntentRequest> = {}): IntentRequest => ({
        ...intentFor({ requested_at: NOW, ...past }), ...more,
      }); // prettier-ignore

      it('is stored once; the same key and arguments answer the first run and its age', async () => {
        const { ledger } = connect();
        const first = intent({}, { idempotency: key() });
        expect(await ledger.request(first)).toMatchObject({
          outcome: 'stored',
          run: { id: first.event.run_id },
        });
        const again = intent({ requested_at: NOW + 5_000 }, { idempotency: key() });
        const replayed = { outcome: 'replayed', age_ms: 5_000, run: { id: first.event.run_id } };
        expect(await ledger.replay(key(), NOW + 5_000)).toMatchObject(replayed);
        expect(await ledger.request(again)).toMatchObject(replayed);
        expect(await ledger.find(again.event.run_id)).toBeNull();
        expect((await ledger.status()).runs.total).toBe(1);
      });

      it('with a key that stands for other arguments, or is too old, is refused with that run', async () => {
        const { ledger } = connect();
        const first = intent({}, { idempotency: key() });
        await ledger.request(first);
        const refused = (expired: boolean) => ({ outcome: 'key_reused', run_id: first.event.run_id, expired });
        expect(await ledger.request(intent({}, { idempotency: key({ arguments_digest: 'b' }) }))).toEqual(refused(false));
        const late = NOW + DAY + 1;
        expect(await ledger.request(intent({ requested_at: late }, { idempotency: key() }))).toEqual(refused(true));
        expect(await ledger.replay(key(), late)).toEqual(refused(true));
        expect(await ledger.replay(key(), NOW + DAY)).toMatchObject({ outcome: 'replayed' });
        expect(await ledger.replay(key({ key: 'other' }), NOW)).toBeNull();
        expect(await ledger.replay(key({ scope: 'other' }), NOW)).toBeNull();
        const elsewhere = intent({}, { idempotency: key({ scope: 'other', arguments_digest: 'b' }) });
        expect(await ledger.request(elsewhere)).toMatchObject({ outcome: 'stored' });
      }); // prettier-ignore

      it('starts one run when twelve come at once over six connections', async () => {
        const connections = Array.from({ length: 6 }, connect);
        const outcomes = await Promise.all(
          [...connections, ...connections].map(({ ledger }) => ledger.request(intent({}, { idempotency: key() }))),
        );
        expect(outcomes.filter(({ outcome }) => outcome === 'stored')).toHaveLength(1);
        expect(outcomes.filter(({ outcome }) => outcome === 'replayed')).toHaveLength(11);
        const ids = outcomes.map((one) => 'run' in one && one.run.id);
        expect(new Set(ids).size).toBe(1);
      }); // prettier-ignore

      it('waits its turn per block, workspace and organization', async () => {
        const { ledger } = connect();
        const first = intent({}, { exclusive: true });
        await ledger.request(first);
        const run_id = first.event.run_id;
        expect(await ledger.request(intent({}, { exclusive: true }))).toEqual({ outcome: 'active', run_id });
        expect(await ledger.request(intent({ action: 'other' }, { exclusive: true }))).toEqual({ outcome: 'active', run_id });
        for (const other of [{ block: 'web' }, { workspace: 'other' }, { organization: 'globex' }, { organization: null }])
          expect(await ledger.request(intent(other, { exclusive: true })), JSON.stringify(other)).toMatchObject({ outcome: 'stored' });
        expect(await ledger.request(intent({ organization: null }, { exclusive: true }))).toMatchObject({ outcome: 'active' });
        expect(await ledger.request(intent({}, { exclusive: false }))).toMatchObject({ outcome: 'stored' });
        await finish(ledger, run_id);
        expect(await ledger.request(intent({}, { exclusive: true }))).toMatchObject({ outcome: 'active' });
      }); // prettier-ignore

      it('may go when the run in the way has ended', async () => {
        const { ledger } = connect();
        const first = intent({}, { exclusive: true });
        await ledger.request(first);
        await finish(ledger, first.event.run_id);
        expect(await ledger.request(intent({}, { exclusive: true }))).toMatchObject({ outcome: 'stored' });
      });

      it('waits its turn per workflow, which is in the way of no block', async () => {
        const { ledger } = connect();
        const flow = (more: Parameters<typeof intent>[0] = {}) =>
          intent({ kind: 'workflow', workflow: 'release', block: null, action: null, ...more }, { exclusive: true });
        const first = flow();
        await ledger.request(first);
        expect(await ledger.request(flow())).toEqual({ outcome: 'active', run_id: first.event.run_id });
        for (const other of [flow({ workflow: 'other' }), flow({ workspace: 'other' }), intent({}, { exclusive: true })])
          expect(await ledger.request(other)).toMatchObject({ outcome: 'stored' });
        await finish(ledger, first.event.run_id);
        expect(await ledger.request(flow())).toMatchObject({ outcome: 'stored' });
      }); // prettier-ignore

      it('is counted under the rule of a policy: so many at once, and so many in an hour', async () => {
        const { ledger } = connect();
        const quota = (more = {}) => ({ rule: 'few', concurrency: 2, per_hour: 3, ...more });
        const asked = (at: number, more = {}) => ledger.request(intent({ requested_at: at }, { quota: quota(more) }));
        const [one, two] = [intent({}, { quota: quota() }), intent({ requested_at: NOW + 1 }, { quota: quota() })];
        for (const each of [one, two]) expect(await ledger.request(each)).toMatchObject({ outcome: 'stored' });
        expect(await asked(NOW + 2)).toEqual({ outcome: 'limited', rule: 'few', what: 'concurrency', most: 2 });
        expect(await asked(NOW + 2, { rule: 'other' })).toMatchObject({ outcome: 'stored' });
        for (const { event } of [one, two]) await finish(ledger, event.run_id);
        expect(await asked(NOW + 3)).toMatchObject({ outcome: 'stored' });
        expect(await asked(NOW + 4)).toEqual({ outcome: 'limited', rule: 'few', what: 'per_hour', most: 3 });
        // The first of them is an hour old by then.
        expect(await asked(NOW + 3_600_000)).toMatchObject({ outcome: 'stored' });
      }); // prettier-ignore

      it('under a rule that lets one through lets one through, over all connections', async () => {
        const connections = Array.from({ length: 4 }, connect);
        const quota = { rule: 'one', concurrency: 1, per_hour: null };
        const outcomes = await Promise.all(connections.map(({ ledger }) => ledger.request(intent({}, { quota }))));
        expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['limited', 'limited', 'limited', 'stored']);
      }); // prettier-ignore

      it('of a run that is there already is answered with it, over all connections', async () => {
        const step = intent();
        const connections = Array.from({ length: 4 }, connect);
        const outcomes = await Promise.all(connections.map(({ ledger }) => ledger.request(step)));
        expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['replayed', 'replayed', 'replayed', 'stored']);
        const { ledger, leases } = connections[0]!;
        expect(await leases.list()).toHaveLength(1);
        await finish(ledger, step.event.run_id);
        expect(await ledger.request(step)).toMatchObject({ outcome: 'replayed', run: { status: 'failed' } });
      }); // prettier-ignore

      it('burns an answer once, over all connections', async () => {
        const burn = { nonce: 'n', expires_at: NOW + 600_000 };
        const connections = Array.from({ length: 4 }, connect);
        const outcomes = await Promise.all(connections.map(({ ledger }) => ledger.request(intent({}, { burn }))));
        expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['burnt', 'burnt', 'burnt', 'stored']);
        const { ledger } = connections[0]!;
        expect(await ledger.request(intent({ requested_at: NOW + 600_000 }, { burn }))).toEqual({ outcome: 'burnt' });
        expect((await ledger.status()).runs.total).toBe(1);
      }); // prettier-ignore

      it('that is refused burns nothing and stores nothing', async () => {
        const { ledger } = connect();
        await ledger.request(intent({}, { exclusive: true }));
        const burn = { nonce: 'kept', expires_at: NOW + 600_000 };
        expect(await ledger.request(intent({}, { exclusive: true, burn }))).toMatchObject({
          outcome: 'active',
        });
        expect(await ledger.request(intent({ block: 'web' }, { burn }))).toMatchObject({ outcome: 'stored' });
        expect((await ledger.status()).runs).toEqual({ total: 2, open: 2 });
      });
    });

    describe('a run whose caller was not told', () => {
      const TEN_MINUTES = 600_000;
      const untold = (call: string, at = NOW, teller = owner(1)): IntentRequest => ({
        ...intentFor({ requested_at: at }), untold: { call, teller, valid_ms: TEN_MINUTES },
      }); // prettier-ignore

      it('is found by its call after kill -9, and by no other', async () => {
        const intent = untold('call');
        await (await kind.request(at(), intent)).kill();
        const { untold: runs } = connect();
        const { run_id } = intent.event;
        expect(await runs.find('call', NOW)).toEqual([{ run_id, teller: owner(1), at: NOW }]);
        expect(await runs.find('call', NOW + 1)).toEqual([]);
        expect(await runs.find('other', NOW)).toEqual([]);
      });

      it('is passed to exactly one of six callers, and to nobody who saw another teller', async () => {
        const connections = Array.from({ length: 6 }, connect);
        await connections[0]!.ledger.request(untold('call'));
        const [seen] = await connections[0]!.untold.find('call', NOW);
        const passed = await Promise.all(connections.map((one, n) => one.untold.pass(seen!, owner(10 + n))));
        expect(passed.filter(Boolean)).toHaveLength(1);
        const [now] = await connections[1]!.untold.find('call', NOW);
        expect(now).toEqual({ ...seen, teller: owner(10 + passed.indexOf(true)) });
        expect(await connections[2]!.untold.pass(now!, null)).toBe(true);
        expect(await connections[3]!.untold.pass(now!, owner(3))).toBe(false);
        const vacant = { ...now!, teller: null };
        expect(await connections[4]!.untold.find('call', NOW)).toEqual([vacant]);
        expect(await connections[5]!.untold.pass(vacant, owner(5))).toBe(true);
      });

      it('is forgotten when it was told, or when its time is over and another one comes', async () => {
        const { ledger, untold: runs } = connect();
        const [told, old] = [untold('told'), untold('old')];
        for (const intent of [told, old]) await ledger.request(intent);
        await runs.told(told.event.run_id);
        await runs.told(told.event.run_id);
        expect(await runs.find('told', NOW)).toEqual([]);
        await ledger.request(untold('new', NOW + TEN_MINUTES));
        expect(await runs.find('old', NOW)).toHaveLength(1);
        await ledger.request(untold('newer', NOW + TEN_MINUTES + 1));
        expect(await runs.find('old', NOW)).toEqual([]);
      });

      it('is not left behind by a request that is refused', async () => {
        const { ledger, untold: runs } = connect();
        await ledger.request({ ...untold('first'), exclusive: true });
        expect(await ledger.request({ ...untold('second'), exclusive: true })).toMatchObject({
          outcome: 'active',
        });
        expect(await runs.find('second', NOW)).toEqual([]);
      });
    });

    describe('a run', () => {
      it('that is closed never changes, except by an alias', async () => {
        const { ledger } = connect();
        const { event } = intentFor({ requested_at: NOW });
        await ledger.request(intentFor({ requested_at: NOW, id: event.run_id }));
        const closed = await finish(ledger, event.run_id);
        const { events } = await ledger.status();
        for (const one of ['run_started', 'run_adopted', 'run_cancel_requested', 'run_finished'] as const) {
          const late = { kind: one, run_id: event.run_id, at: NOW + DAY, facts: { status: 'success', exit_code: 0 }, private: { reason: 'x' } };
          expect(await ledger.append(late)).toEqual(closed);
        }
        expect(await ledger.find(event.run_id)).toEqual(closed);
        expect((await ledger.status()).events).toBe(events);
        const alias = { source: 'api', endpoint: null, id: '4711' };
        const added = await ledger.append({ kind: 'run_alias_added', run_id: event.run_id, at: NOW, facts: { alias }, private: {} });
        expect(added).toEqual({ ...closed, aliases: [alias] });
        expect(await ledger.find('4711')).toEqual(added);
      }); // prettier-ignore

      it('is found by id, by alias and by the beginning of its id, if that is unambiguous', async () => {
        const { ledger } = connect();
        const [a, b] = ['01aaaaaa-aaaa-7000-8000-000000000001', '01aaaaaa-aaaa-7000-8000-000000000002'];
        const alias = { source: 'cli', endpoint: null, id: 'transaction-9' };
        await ledger.request(intentFor({ requested_at: NOW, id: a, aliases: [alias] }));
        await ledger.request(intentFor({ requested_at: NOW, id: b }));
        const id = async (text: string) => (await ledger.find(text))?.id ?? null;
        expect(await id(a)).toBe(a);
        expect(await id('transaction-9')).toBe(a);
        expect(await id(a.slice(0, 35))).toBeNull();
        expect(await id('01aaaaaa')).toBeNull();
        expect(await id('01aaaaa')).toBeNull();
        await ledger.request(intentFor({ requested_at: NOW, id: '01bbbbbb-aaaa-7000-8000-000000000001' }));
        expect(await id('01bbbbbb')).toBe('01bbbbbb-aaaa-7000-8000-000000000001');
        expect(await id('01bbbbbb-aaaa')).toBe('01bbbbbb-aaaa-7000-8000-000000000001');
        for (const nothing of ['', '%', '01bbbbb_', 'ffffffff', "' OR 1 --"])
          expect(await id(nothing)).toBeNull();
      });
    });

    describe('leases', () => {
      const lease = async ({ ledger }: Records): Promise<{ run_id: string; fence: number }> => {
        const intent = intentFor({ requested_at: NOW });
        await ledger.request({ ...intent, lease: { ...intent.lease, owner: owner(1), expires_at: NOW } });
        return { run_id: intent.event.run_id, fence: 1 };
      };

      it('go to exactly one of six takers, each with a higher fence', async () => {
        const connections = Array.from({ length: 6 }, connect);
        const guard = await lease(connections[0]!);
        for (let fence = 1; fence <= 5; fence++) {
          const taken = await Promise.all(
            connections.map(({ leases }, n) => leases.take({ ...guard, fence }, owner(n), NOW + n)),
          );
          const won = taken.flatMap((one, n) => (one ? [{ n, one }] : []));
          expect(won).toHaveLength(1);
          expect(won[0]!.one).toMatchObject({ fence: fence + 1, owner: owner(won[0]!.n), expires_at: NOW + won[0]!.n });
        }
      }); // prettier-ignore

      it('keep a stale supervisor from writing', async () => {
        const one = connect();
        const other = connect();
        const guard = await lease(one);
        const started = { kind: 'run_started', run_id: guard.run_id, at: NOW, facts: { status: 'running' }, private: {} } as const;
        await one.ledger.append(started, guard, { phase: 'running', ref: 'container' });
        expect(await other.leases.list()).toMatchObject([{ phase: 'running', ref: 'container' }]);
        await other.leases.take(guard, owner(2), NOW);
        await expect(one.ledger.append({ ...started, kind: 'run_finished', facts: { status: 'success' } }, guard)).rejects.toMatchObject({ code: 'lease_lost' });
        expect(await one.ledger.find(guard.run_id)).toMatchObject({ status: 'running' });
        await one.leases.give(guard, 'delete');
        await one.leases.give(guard, 'release');
        expect(await other.leases.list()).toMatchObject([{ fence: 2, owner: owner(2), expires_at: NOW }]);
        const now = { ...guard, fence: 2 };
        await other.ledger.append({ ...started, kind: 'run_finished', facts: { status: 'success' } }, now, { phase: 'cleanup', ref: null });
        expect(await one.ledger.find(guard.run_id)).toMatchObject({ status: 'success' });
        await other.leases.give(now, 'delete');
        expect(await one.leases.list()).toEqual([]);
        await expect(other.ledger.append(started, now)).rejects.toMatchObject({ code: 'lease_lost' });
      }); // prettier-ignore

      it('are renewed by their owner only, and not once they were given up', async () => {
        const connected = connect();
        const [mine, given] = [await lease(connected), await lease(connected)];
        await connected.leases.give(given, 'release');
        expect(await connected.leases.renew(owner(2), NOW + 9)).toEqual([]);
        const renewed = await connected.leases.renew(owner(1), NOW + 9);
        const expires = Object.fromEntries(renewed.map(({ run_id, expires_at }) => [run_id, expires_at]));
        expect(expires).toEqual({ [mine.run_id]: NOW + 9, [given.run_id]: 0 });
      });

      it('carry the request to cancel', async () => {
        const connected = connect();
        const { run_id } = await lease(connected);
        expect((await connected.leases.list())[0]!.cancel_requested).toBe(false);
        const private_ = { cancelled_by: 'alice', cancel_reason: null };
        await connected.ledger.append({
          kind: 'run_cancel_requested',
          run_id,
          at: NOW,
          facts: {},
          private: private_,
        });
        expect((await connected.leases.list())[0]!.cancel_requested).toBe(true);
        expect(await connected.ledger.find(run_id)).toMatchObject({
          cancelled_by: 'alice',
          status: 'pending',
        });
      });
    });

    it('a watcher wakes when another connection writes, and else after its time', async () => {
      const [reader, writer] = [connect(), connect()];
      const timed = async (changed: Promise<void>): Promise<number> => {
        const began = performance.now();
        await changed;
        return performance.now() - began;
      };
      await writer.ledger.status();
      // The first look of a reader may find what was written before it.
      await reader.watch.changed(1_000);
      expect(await timed(reader.watch.changed(300))).toBeGreaterThanOrEqual(290);
      const woken = timed(reader.watch.changed(30_000));
      await writer.ledger.request(intentFor({ requested_at: NOW }));
      expect(await woken).toBeLessThan(5_000);
      const stop = new AbortController();
      const aborted = timed(reader.watch.changed(30_000, stop.signal));
      stop.abort();
      expect(await aborted).toBeLessThan(5_000);
    });

    it('the key is one and the same for every connection', async () => {
      const keys = await Promise.all(Array.from({ length: 6 }, () => connect().ledger.key('runs')));
      expect(keys[0]!.length).toBeGreaterThanOrEqual(32);
      for (const key of keys) expect(Buffer.from(key).equals(Buffer.from(keys[0]!))).toBe(true);
    });

    it('the status counts runs, open ones and events', async () => {
      const { ledger } = connect();
      expect(await ledger.status()).toMatchObject({ runs: { total: 0, open: 0 }, events: 0, newest_at: null, writable: true });
      const id = mintId();
      await ledger.request(intentFor({ requested_at: NOW, id }));
      await finish(ledger, id);
      await ledger.request(intentFor({ requested_at: NOW + 2 }));
      expect(await ledger.status()).toMatchObject({ runs: { total: 2, open: 1 }, events: 3, newest_at: NOW + 2 });
    }); // prettier-ignore
  });
}

async function finish(ledger: RunLedger, run_id: string): Promise<ActionRun> {
  const facts = { status: 'failed', exit_code: 1, launched: true, started_at: NOW, finished_at: NOW + 1 };
  const end: RunEvent = { kind: 'run_finished', run_id, at: NOW + 1, facts, private: {} };
  return ledger.append(end);
}
