import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadCheckpointKeys } from '../../src/adapters/host/checkpoint-keys.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import type { Records } from '../../src/history/records.ts';
import type { Checkpoint } from '../../src/ledger/checkpoint.ts';
import { createApiKeys, createKeyAuthenticator } from '../../src/ledger/api-keys.ts';
import { signPruning } from '../../src/ledger/prune.ts';
import { rollupDigest } from '../../src/ledger/rollup.ts';
import type { PrunePlan } from '../../src/ledger/upkeep.ts';
import { verifyLedger, type Verification } from '../../src/ledger/verify-ledger.ts';
import { storeRun } from '../support/fill-ledger.ts';

export interface PruningPlace {
  records: Records;
  home: string;
  /** As somebody who can write every table, with SQL that both databases know; triggers come back. */
  tamper(sql: string): Promise<void>;
  remove(): Promise<void>;
}

export const DAY = 86_400_000;
export const BEGIN = Date.UTC(2026, 0, 1);
const BY = { principal: { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } };

export const keysOf = (home: string) =>
  loadCheckpointKeys({ home, given: null }) as never as Parameters<typeof signPruning>[1];

/** What `ledger prune` does, without the command around it. */
export async function pruneBefore(
  { records, home }: Pick<PruningPlace, 'records' | 'home'>,
  before: number,
): Promise<PrunePlan> {
  const plan = await records.upkeep.planPrune(before);
  if (plan.events === 0) return plan;
  const { size, head, root, frontier, tombstones, rollups } = plan;
  const runs = rollups.reduce((sum, row) => sum + row.runs, 0);
  const left = { rows: rollups.length, runs, digest: rollupDigest(rollups) };
  const ledger = await records.check.id();
  const state = { ledger, size, head, root, frontier, before, at: BEGIN, rollups: left, tombstones };
  await records.upkeep.prune({
    plan,
    pruning: signPruning(state, keysOf(home)),
    at: BEGIN + 99 * DAY,
    by: BY,
  });
  return plan;
}

/** Retention, for any ledger. Ten runs of three events, one a day. */
export function pruningContract(name: string, open: () => Promise<PruningPlace>): void {
  describe(`pruning a ledger on ${name}`, () => {
    let place: PruningPlace;
    let runs: string[];
    beforeEach(async () => {
      place = await open();
      runs = [];
      for (let day = 0; day < 10; day++) {
        const status = day % 2 ? 'failed' : 'success';
        const past = { requested_at: BEGIN + day * DAY, display: `U${day}`, status, duration_ms: 100, environment: 'prod' } as const;
        runs.push((await storeRun(place.records, past)).id);
      }
    });
    afterEach(() => place.remove());

    const prune = (before: number): Promise<PrunePlan> => pruneBefore(place, before);
    const verify = (anchor: Checkpoint | null = null, incremental = false): Promise<Verification> =>
      verifyLedger(
        { check: place.records.check, keys: () => loadCheckpointKeys({ home: place.home, given: null }), clock: systemClock, log: () => undefined },
        { anchor: anchor && { checkpoint: anchor, name: 'the anchor' }, incremental },
      );
    const found = async (): Promise<string[]> => (await verify()).findings.map(({ fault, table }) => `${fault} ${table}`);

    it('takes out whole runs, keeps sums, and the rest is in order', async () => {
      const whole = await verify();
      expect(await prune(BEGIN + 4 * DAY)).toMatchObject({ size: 12, events: 12, runs: runs.slice(0, 4), held: null });
      const { ledger, history } = place.records;
      for (const [day, id] of runs.entries()) expect((await ledger.find(id)) === null, `${day}`).toBe(day < 4);
      expect(await history.missing([{ column: 'user', name: 'U1' }, { column: 'user', name: 'U5' }])).toMatchObject([{ name: 'U1' }]);
      const after = await verify();
      expect(after).toMatchObject({ result: 'not_provable', findings: [], erased: [], size: 31, from: 0 });
      expect(after.checked).toMatchObject({ events: 19, runs: 6 });
      expect(after.pruning).toMatchObject({ size: 12, rollups: { rows: 4, runs: 4 } });
      expect(await verify(whole.checkpoint)).toMatchObject({ result: 'sound', proven_up_to: 30 });
      await storeRun(place.records, { requested_at: BEGIN + 20 * DAY });
      expect(await verify(after.checkpoint, true)).toMatchObject({ result: 'sound', from: 31, checked: { events: 3 } });
      expect(await ledger.status()).toMatchObject({ oldest_at: BEGIN + 4 * DAY, events: 34 });
    });

    it('keeps keys that still open something, as they were, and none that was revoked', async () => {
      const by = { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } as const;
      const keys = (at: number) => createApiKeys(place.records.house, { now: () => at });
      const ask = { roles: ['runner'], scope: ['acme'], by } as const;
      const early = keys(BEGIN + 11 * DAY);
      const { key, token } = await early.create({ ...ask, name: 'ci', expires_at: null });
      const { key: gone } = await early.create({ ...ask, name: 'gone', expires_at: null });
      await early.create({ ...ask, name: 'over', expires_at: BEGIN + 12 * DAY });
      await early.revoke(gone.id, by);
      await storeRun(place.records, { requested_at: BEGIN + 20 * DAY });
      const late = keys(BEGIN + 30 * DAY);
      const plan = await place.records.upkeep.planPrune(BEGIN + 20 * DAY);
      expect(plan.size).toBe(34);
      expect(await late.carryOver(plan.size)).toBe(1);
      // Made behind the cut, or carried over already.
      const { key: other } = await early.create({ ...ask, name: 'late', expires_at: null });
      expect(await late.carryOver(plan.size)).toBe(0);
      await pruneBefore(place, BEGIN + 20 * DAY);
      expect(await late.list()).toEqual([key, other]);
      // Revoked by somebody while it was being carried over: the revocation comes first, and counts.
      const event = { run_id: '' as const, at: BEGIN + 31 * DAY, private: {} };
      const facts = { key_id: 'aaaaaaaaaaaa', hash: '0'.repeat(64), roles: ['admin'], scope: null, expires_at: null };
      await place.records.house.add({ ...event, kind: 'key_revoked', facts: { key_id: facts.key_id } });
      await place.records.house.add({ ...event, kind: 'key_created', facts });
      expect((await late.list()).at(-1)).toMatchObject({ id: facts.key_id, revoked_at: event.at });
      const authenticator = createKeyAuthenticator(late, { clock: { now: () => BEGIN + 30 * DAY }, ledger: async () => 'l' });
      expect(await authenticator.authenticate(token)).toMatchObject({ identity: { principal: { display: 'ci' }, scope: ['acme'] } });
      expect((await verify()).findings).toEqual([]);
    });

    it('sums up over several prunings, and the last one speaks for all', async () => {
      await prune(BEGIN + 3 * DAY);
      const plan = await prune(BEGIN + 7 * DAY);
      expect(plan).toMatchObject({ size: 21, events: 12 });
      const total = plan.rollups.reduce((sum, row) => sum + row.duration_ms, 0);
      expect({ total, first: plan.rollups.find(({ day }) => day === '2026-01-02') }).toMatchObject({
        total: 700,
        first: { status: 'failed', environment: 'prod', runs: 1, launched: 1, duration_ms: 100 },
      });
      expect(await verify()).toMatchObject({ findings: [], pruning: { size: 21, rollups: { runs: 7 } } });
      // The first two events that said so are old by now.
      await storeRun(place.records, { requested_at: BEGIN + 200 * DAY });
      expect(await prune(BEGIN + 150 * DAY)).toMatchObject({ size: 32, events: 11 });
      expect(await verify()).toMatchObject({ findings: [], pruning: { size: 32, rollups: { runs: 10 } } });
      expect(await prune(BEGIN + 150 * DAY)).toMatchObject({ events: 0 });
    });

    it('moves the cut back before a run that is open or lies across, and says so', async () => {
      const open = await storeRun(place.records, { requested_at: BEGIN + 11 * DAY, status: 'running' });
      await storeRun(place.records, { requested_at: BEGIN + 12 * DAY });
      const late = BEGIN + 30 * DAY;
      expect(await prune(late)).toMatchObject({ size: 30, held: { run_id: open.id, open: true } });
      const [first] = runs.slice(-1);
      expect(await place.records.ledger.find(first!)).toBeNull();
      await place.records.ledger.append({ kind: 'run_finished', run_id: open.id, at: late, facts: { status: 'success', finished_at: late }, private: {} });
      // Ended, but its supervisor still cleans up.
      expect(await prune(late - 1)).toMatchObject({ events: 0, held: { run_id: open.id, open: true } });
      await place.records.leases.give({ run_id: open.id, fence: 1 }, 'delete');
      expect(await prune(late - 1)).toMatchObject({ events: 0, held: { run_id: open.id, open: false } });
      expect(await prune(BEGIN + 100 * DAY)).toMatchObject({ events: 7 });
      expect((await verify()).findings).toEqual([]);
    });

    it('refuses a plan that the ledger has overtaken, and changes nothing', async () => {
      const plan = await place.records.upkeep.planPrune(BEGIN + 5 * DAY);
      const alias = { source: 'api', endpoint: null, id: 'late' };
      await place.records.ledger.append({ kind: 'run_alias_added', run_id: runs[2]!, at: BEGIN + 50 * DAY, facts: { alias }, private: {} });
      const rollups = { rows: 1, runs: 1, digest: plan.head };
      const pruning = signPruning({ ...plan, ledger: 'x', before: 0, at: 0, rollups }, keysOf(place.home));
      await expect(place.records.upkeep.prune({ plan, pruning, at: BEGIN, by: BY })).rejects.toMatchObject({ code: 'refused' });
      expect(await verify()).toMatchObject({ findings: [], size: 31, pruning: null });
    });

    it('remembers erased people beyond the events that say so', async () => {
      await place.records.upkeep.erase({ subject: 'U1', logs: false, at: BEGIN + 11 * DAY, by: BY });
      await prune(BEGIN + 12 * DAY);
      await storeRun(place.records, { requested_at: BEGIN + 300 * DAY });
      await prune(BEGIN + 250 * DAY);
      expect(await place.records.upkeep.isErased('u1')).toBe(true);
      expect(await place.records.upkeep.isErased('u2')).toBe(false);
    });

    it('an anchor older than the cut cannot be compared, one at the cut can', async () => {
      const old = (await verify()).checkpoint!;
      await storeRun(place.records, { requested_at: BEGIN + 11 * DAY });
      const at_cut = (await verify()).checkpoint!;
      await storeRun(place.records, { requested_at: BEGIN + 12 * DAY });
      await prune(BEGIN + 12 * DAY);
      const verification = await verify(old);
      expect(verification).toMatchObject({ result: 'not_provable', findings: [], proven_up_to: null });
      expect(verification.not_provable.join()).toContain('only an anchor of that many or more can be compared');
      expect(await verify(at_cut)).toMatchObject({ result: 'sound', proven_up_to: 33 });
    });

    it.each([
      ['a beginning that went without a pruning', 'DELETE FROM event_private WHERE seq <= 3; DELETE FROM events WHERE seq <= 3', 'event_missing events'],
      ['a row of sums that was changed', 'UPDATE rollups SET runs = runs + 1 WHERE day = \'2026-01-02\'', 'row_changed rollups'],
      ['a row of sums under another name', 'UPDATE rollups SET environment = NULL WHERE day = \'2026-01-02\'', 'row_changed rollups'],
      ['a row of sums that is gone', 'DELETE FROM rollups WHERE day = \'2026-01-02\'', 'row_changed rollups'],
      ['more events gone than were pruned', 'DELETE FROM event_private WHERE seq <= 15; DELETE FROM events WHERE seq <= 15', 'event_missing events'],
      ['the event that says so', "DELETE FROM event_private WHERE seq = 31; DELETE FROM events WHERE kind = 'ledger_pruned'", 'event_missing events'],
      ['facts of the event', "UPDATE events SET facts = replace(facts, '\"size\":12', '\"size\":11') WHERE kind = 'ledger_pruned'", 'event_changed events'],
      ['its kind', "UPDATE events SET kind = 'person_erased' WHERE kind = 'ledger_pruned'", 'event_changed events'],
      ['its private value', "UPDATE event_private SET value = '1' WHERE seq = 31", 'private_changed event_private'],
      ['a private value of an event that went', 'INSERT INTO event_private SELECT 5, name, salt, value FROM event_private WHERE seq = 31', 'private_unexpected event_private'],
    ])('shows %s', async (what, sql, finding) => {
      if (!what.includes('without')) await prune(BEGIN + 4 * DAY);
      expect(await found()).toEqual([]);
      await place.tamper(sql);
      expect(await found()).toContain(finding);
    });

    it('shows sums that no pruning left', async () => {
      await place.tamper("INSERT INTO rollups (day, kind, workspace, status, runs, launched, duration_ms) VALUES ('d', 'action', 'w', 'success', 1, 1, 1)");
      expect(await found()).toEqual(['row_unexpected rollups']);
    });

    it('shows a pruning by whoever has no key, and tells one of an unknown key apart', async () => {
      const other = { ...place, home: `${place.home}/other` };
      await pruneBefore(other, BEGIN + 4 * DAY);
      const anchor = (await verify()).checkpoint!;
      const unknown = await verify(anchor);
      expect(unknown).toMatchObject({ result: 'not_provable', findings: [] });
      expect(unknown.not_provable.join()).toContain('which is not the one at hand');
      const plan = await place.records.upkeep.planPrune(BEGIN + 6 * DAY);
      const left = { rows: plan.rollups.length, runs: 6, digest: rollupDigest(plan.rollups) };
      const state = { ...plan, ledger: await place.records.check.id(), before: 0, at: 0, rollups: left };
      const { size, head, root, frontier, tombstones, ledger, before, at, rollups } = state;
      const pruning = signPruning({ size, head, root, frontier, tombstones, ledger, before, at, rollups }, keysOf(place.home));
      await place.records.upkeep.prune({ plan, pruning: { ...pruning, before: 7 }, at: BEGIN, by: BY });
      expect(await found()).toEqual(['pruning_forged events']);
    });
  });
} // prettier-ignore
