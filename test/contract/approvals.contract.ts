import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity, Principal } from '../../src/access/identity.ts';
import type { Records } from '../../src/history/records.ts';
import type { ActionRun } from '../../src/runs/action-run.ts';
import type { Answer } from '../../src/runs/approval.ts';
import type { LeaseKind } from '../../src/runs/run-ledger.ts';
import { merged } from '../support/second-bundle-verifier.mjs';
import { intentFor, type Past } from '../support/fill-ledger.ts';

/** An empty ledger; every connection to it is independent of the others. */
export interface ApprovalPlace {
  connect(): Records;
  remove(): Promise<void>;
}

const NOW = Date.UTC(2026, 8, 1);
const HOUR = 3_600_000;

const keyOf = (subject: string): Principal => ({
  kind: 'key',
  issuer: 'l',
  subject,
  display: `${subject}'s key`,
});

/** What every ledger promises about runs that others have to agree to. */
export function approvalsContract(name: string, open: () => Promise<ApprovalPlace>): void {
  describe(`runs that wait for approval, on ${name}`, () => {
    let place: ApprovalPlace;
    let connected: Records[];
    const connect = (): Records => {
      const one = place.connect();
      connected.push(one);
      return one;
    };
    beforeEach(async () => {
      [place, connected] = [await open(), []];
    });
    afterEach(async () => {
      await Promise.all(connected.map((one) => one.close()));
      await place.remove();
    });

    const request = ({ ledger }: Records, kind: LeaseKind, past: Partial<Past> = {}) => {
      const intent = intentFor({ requested_at: NOW, display: 'Ada', ...past });
      return ledger.request({ ...intent, exclusive: true, lease: { ...intent.lease, executor: kind } });
    };
    const asked = async (
      records: Records,
      terms: Record<string, unknown> = {},
      nonce = 'n',
    ): Promise<ActionRun> => {
      const stored = await request(records, 'approval');
      if (stored.outcome !== 'stored') throw new Error(stored.outcome);
      return await ask(records, stored.run.id, { ...terms, nonce });
    };
    const ask = ({ ledger }: Records, run_id: string, more: Record<string, unknown>): Promise<ActionRun> => {
      const approval_request = {
        count: 1, role: null, strength: 'key', nonce: 'n', plan_digest: 'd', rule: 'r', why: 'w', asked_at: NOW,
        expires_at: NOW + HOUR, again: null, shown: [], drift: [], mode: null, alone: true, ...more,
      }; // prettier-ignore
      const facts = { approval_request, approvals: [], approval: null, approved_at: null };
      return ledger.append({ kind: 'run_approval_asked', run_id, at: NOW, facts, private: {} });
    };
    const answer = (
      run: ActionRun,
      who: string,
      more: Partial<Answer> & { roles?: Identity['roles'] } = {},
    ): Answer => {
      const { roles = ['approver'], ...parts } = more;
      return {
        run_id: run.id, nonce: 'n', plan_digest: 'd', outcome: 'approved', reason: 'fine', at: NOW + 5, now: NOW + 5,
        approver: { principal: keyOf(who), roles }, proof: 'key', person: who, requester_person: 'ada', ...parts,
      }; // prettier-ignore
    };

    /** Another program makes the same record of the events. */
    const agrees = async ({ ledger, archive }: Records, run_id: string): Promise<void> => {
      const events = await archive.events([run_id]);
      expect(merged(events.map(({ event, values }) => ({ ...event, private: values })))).toEqual(
        await ledger.find(run_id),
      );
    };

    it('an answer decides, once, and its person, strength and reason are in the record', async () => {
      const records = connect();
      const run = await asked(records);
      const given = await records.ledger.answer(answer(run, 'bea'));
      const approval = { outcome: 'approved', strength: 'other_principal', by: "bea's key", person: 'bea', reason: 'fine', at: NOW + 5 };
      expect(given).toMatchObject({ run: { status: 'pending', approved_at: NOW + 5, approval, approvals: [{ principal: { subject: 'bea' } }] } });
      expect(await records.ledger.find(run.id)).toEqual((given as { run: ActionRun }).run);
      await agrees(records, run.id);
      const { events } = await records.ledger.status();
      expect(await records.ledger.answer(answer(run, 'cy'))).toEqual({ refused: 'decided' });
      const late = { kind: 'run_approval_answered', run_id: run.id, at: NOW, facts: { outcome: 'declined', strength: 'key' }, private: {} } as const;
      expect(await records.ledger.append(late)).toMatchObject({ approval });
      expect((await records.ledger.status()).events).toBe(events);
    }); // prettier-ignore

    it('of answers at the same moment over all connections one decides', async () => {
      const connections = Array.from({ length: 4 }, connect);
      const run = await asked(connections[0]!);
      const outcomes = await Promise.all(
        connections.map(({ ledger }, each) => ledger.answer(answer(run, `p${each}`, each % 2 ? { outcome: 'declined' } : {}))),
      );
      const refused = outcomes.flatMap((outcome) => ('refused' in outcome ? [outcome.refused] : []));
      expect(refused).toHaveLength(3);
      expect(new Set(refused).size).toBe(1);
      expect((await connections[0]!.ledger.find(run.id))!.approvals).toHaveLength(1);
    }); // prettier-ignore

    it('two persons are two persons, whatever keys they have', async () => {
      const { ledger } = connect();
      const run = await asked({ ledger } as Records, { count: 2, strength: 'other_principal' });
      expect(await ledger.answer(answer(run, 'bea'))).toMatchObject({ run: { approved_at: null, approval: null } });
      expect(await ledger.answer(answer(run, 'bea'))).toEqual({ refused: 'answered' });
      expect(await ledger.answer(answer(run, 'second', { person: 'bea' }))).toEqual({ refused: 'answered' });
      expect(await ledger.answer(answer(run, 'cy', { person: null }))).toEqual({ refused: 'unmapped' });
      expect(await ledger.answer(answer(run, 'cy', { requester_person: null }))).toEqual({ refused: 'requester_unmapped' });
      expect(await ledger.answer(answer(run, 'cy'))).toMatchObject({ run: { approved_at: NOW + 5 } });
    }); // prettier-ignore

    it('nobody approves who asked, lacks the role or a key, saw something else, or comes too late', async () => {
      const records = connect();
      const run = await asked(records);
      const self = { principal: run.principal!, roles: ['admin'] } as const;
      const tries: [Partial<Answer> & { roles?: Identity['roles'] }, string][] = [
        [{ person: 'ada' }, 'requester'],
        [{ approver: self, person: null }, 'requester'],
        [{ roles: ['runner'] }, 'role'],
        [{ roles: ['runner'], outcome: 'declined' }, 'role'],
        [{ proof: 'client' }, 'too_weak'],
        [{ plan_digest: 'x' }, 'superseded'],
        [{ nonce: 'x' }, 'superseded'],
        [{ now: NOW + HOUR }, 'expired'],
      ];
      for (const [more, refused] of tries) {
        expect(await records.ledger.answer(answer(run, 'bea', more)), refused).toEqual({ refused });
      }
      const nothing = { ...run, id: '01aaaaaa-aaaa-7000-8000-000000000001' };
      expect(await records.ledger.answer(answer(nothing, 'bea'))).toEqual({ refused: 'unknown' });
      expect(await records.ledger.find(run.id)).toEqual(run);
    });

    it('a no ends it; a request that comes again takes back what was agreed to', async () => {
      const records = connect();
      const { ledger } = records;
      const run = await asked({ ledger } as Records);
      await ledger.answer(answer(run, 'bea'));
      const again = await ask({ ledger } as Records, run.id, { nonce: 'm', plan_digest: 'e', again: 'changed' });
      expect(again).toMatchObject({ approved_at: null, approval: null, approvals: [] });
      expect(await ledger.answer(answer(run, 'bea'))).toEqual({ refused: 'superseded' });
      const no = { nonce: 'm', plan_digest: 'e', outcome: 'declined', reason: 'not today' } as const;
      const after = { status: 'cancelled', finished_at: NOW + 5, launched: false, approval: { outcome: 'declined', reason: 'not today' } };
      expect(await ledger.answer(answer(run, 'cy', no))).toMatchObject({ run: after });
      expect(await ledger.answer(answer(run, 'bea', { ...no, outcome: 'approved' }))).toEqual({ refused: 'closed' });
      expect(await ask({ ledger } as Records, run.id, { nonce: 'o' })).toMatchObject(after);
      await agrees(records, run.id);
    }); // prettier-ignore

    it('is in the way of nothing but of another that waits, until it goes on', async () => {
      const records = connect();
      const first = await request(records, 'approval');
      if (first.outcome !== 'stored') throw new Error(first.outcome);
      expect(await request(records, 'approval')).toEqual({ outcome: 'active', run_id: first.run.id });
      const other = await request(records, 'docker');
      if (other.outcome !== 'stored') throw new Error(other.outcome);
      const guard = { run_id: first.run.id, fence: first.fence };
      const go = (fence: number, alone = true) => records.leases.promote({ ...guard, fence }, { executor: 'docker', alone });
      expect(await go(1)).toEqual({ active: other.run.id });
      await expect(go(2)).rejects.toMatchObject({ code: 'lease_lost' });
      const end = { status: 'success', launched: true };
      await records.ledger.append({ kind: 'run_finished', run_id: other.run.id, at: NOW, facts: end, private: {} });
      expect(await go(1)).toBeNull();
      expect(await go(1)).toBeNull();
      expect(await records.leases.list()).toContainEqual(expect.objectContaining({ run_id: first.run.id, executor: 'docker' }));
      expect(await request(records, 'docker')).toEqual({ outcome: 'active', run_id: first.run.id });
      // Back to waiting, because nothing of it began.
      expect(await records.leases.promote(guard, { executor: 'approval', alone: false })).toBeNull();
      expect(await request(records, 'docker')).toMatchObject({ outcome: 'stored' });
    }); // prettier-ignore

    it('goes on in one process, whoever tries', async () => {
      const connections = Array.from({ length: 4 }, connect);
      const first = await request(connections[0]!, 'approval');
      if (first.outcome !== 'stored') throw new Error(first.outcome);
      const guard = { run_id: first.run.id, fence: 1 };
      const me = (pid: number) => ({ host: 'h', boot_id: 'b', pid_ns: 'n', pid, pid_start: '1' });
      const taken = await Promise.all(connections.map(({ leases }, each) => leases.take(guard, me(each), NOW + HOUR)));
      expect(taken.filter((lease) => lease !== null)).toHaveLength(1);
    }); // prettier-ignore
  });
}
