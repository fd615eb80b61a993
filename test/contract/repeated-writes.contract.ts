import { describe, expect, it } from 'vitest';
import { intentFor } from '../support/fill-ledger.ts';
import { owner, type LedgerKind } from './run-ledger.contract.ts';
import { usePlace } from './use-place.ts';

const NOW = Date.UTC(2026, 8, 1);

/** What every ledger promises to whoever does not get the answer to a write. */
export function repeatedWritesContract(kind: LedgerKind): void {
  describe(`a write that is sent again to ${kind.name}`, () => {
    const { connect } = usePlace(kind);

    const [ONE, TWO] = ['0c0a0000-0000-4000-8000-000000000001', '0c0a0000-0000-4000-8000-000000000002'];

    it('is found, whichever connection it comes over, and answered as the first time', async () => {
      const [one, other] = [connect(), connect()];
      const intent = { ...intentFor({ requested_at: NOW }), write_id: ONE };
      const stored = await one.ledger.request(intent);
      expect(stored).toMatchObject({ outcome: 'stored', fence: 1 });
      expect(await other.ledger.request(intent)).toEqual(stored);
      const { run_id } = intent.event;
      const alias = { source: 'cli', endpoint: null, id: 'once' };
      const event = { kind: 'run_alias_added', run_id, at: NOW, facts: { alias }, private: {} } as const;
      const guard = { run_id, fence: 1 };
      const added = await one.ledger.append(event, guard, undefined, TWO);
      expect(await other.ledger.append(event, guard, undefined, TWO)).toEqual(added);
      expect(added.aliases).toEqual([alias]);
      const taken = await one.leases.take(guard, owner(7), NOW + 5, '0c0a0000-0000-4000-8000-000000000003');
      expect(taken).toMatchObject({ fence: 2, owner: owner(7) });
      expect(await other.leases.take(guard, owner(7), NOW + 5, '0c0a0000-0000-4000-8000-000000000003')).toEqual(taken);
      expect((await one.ledger.status()).events).toBe(2);
    });

    it('is refused once it was withdrawn, and what it had stored is free', async () => {
      const { ledger, leases } = connect();
      const [early, late] = [intentFor({ requested_at: NOW }), intentFor({ requested_at: NOW })];
      await ledger.request({ ...early, write_id: ONE });
      for (const write_id of [ONE, ONE, TWO]) await ledger.withdraw(write_id);
      expect(await leases.list()).toMatchObject([{ run_id: early.event.run_id, fence: 1, expires_at: 0 }]);
      for (const [write_id, intent] of [[ONE, early], [TWO, late]] as const)
        await expect(ledger.request({ ...intent, write_id })).rejects.toMatchObject({ code: 'ledger_unavailable' });
      expect(await ledger.find(late.event.run_id)).toBeNull();
      const guard = { run_id: early.event.run_id, fence: 1 };
      await expect(leases.take(guard, owner(7), NOW, TWO)).rejects.toMatchObject({ code: 'ledger_unavailable' });
      expect(await leases.take(guard, owner(7), NOW)).toMatchObject({ fence: 2 });
    });
  }); // prettier-ignore
}
