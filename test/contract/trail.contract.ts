import { beforeEach, describe, expect, it } from 'vitest';
import type { CallFilters, CallPage } from '../../src/history/trail.ts';
import type { Records } from '../../src/history/records.ts';
import { callsEvent, type Call, type CallsEvent } from '../../src/runs/trail-event.ts';
import { intentFor, mintId } from '../support/fill-ledger.ts';
import type { LedgerKind } from './run-ledger.contract.ts';
import { usePlace } from './use-place.ts';

export type TrailKind = Pick<LedgerKind, 'name' | 'place' | 'connect'>;

const NOW = Date.UTC(2026, 8, 1);
const WHOLE = { from: null, known: [] };

function callOf(parts: Partial<Call> = {}): Call {
  return {
    id: mintId(),
    at: NOW,
    tool: 'list_blocks',
    outcome: 'answered',
    code: null,
    duration_ms: 5,
    run_id: null,
    principal: { kind: 'os', issuer: 'host', subject: '1000:alice', display: 'Alice' },
    client: { name: 'chat', version: '1.0' },
    sent: '{"workspace":"shop"}',
    ...parts,
  };
}

function batchOf(...calls: Partial<Call>[]): CallsEvent {
  return callsEvent(calls.map(callOf), { at: NOW, key: new Uint8Array(32), redact: (text) => text });
}

/** What every store of the trail promises, whatever it is made of. */
export function trailContract(kind: TrailKind): void {
  describe(`the trail on ${kind.name}`, () => {
    const place = usePlace(kind);
    let records: Records;
    beforeEach(() => {
      records = place.connect();
    });

    const search = (filters: Partial<CallFilters> = {}, more = {}): Promise<CallPage> =>
      records.trail.search({
        filters: { span: { since: null, until: null }, ...filters },
        limit: 100,
        after: null,
        ...more,
      });
    const tools = async (filters: Partial<CallFilters>): Promise<string[]> =>
      (await search(filters)).calls.map(({ tool }) => tool);

    it('answers what was appended, also to another connection, and is in order', async () => {
      const run_id = mintId();
      await records.trail.append(batchOf({ tool: 'run_action', outcome: 'refused', code: 'already_active', run_id }));
      const other = kind.connect(place.at());
      const { calls, total, next } = await other.trail.search({ filters: { span: { since: null, until: null } }, limit: 1, after: null });
      expect({ total, next }).toEqual({ total: 1, next: null });
      expect(calls).toEqual([
        {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/), at: NOW, tool: 'run_action', outcome: 'refused', code: 'already_active',
          duration_ms: 5, run_id, principal: '{"display":"Alice","issuer":"host","kind":"os","subject":"1000:alice"}',
          client: '{"name":"chat","version":"1.0"}', arguments: '{"workspace":"shop"}',
        },
      ]);
      await other.close();
      expect(await records.check.verify(WHOLE)).toMatchObject({ findings: [], erased: [], checked: { events: 1, runs: 0, private_values: 4 } });
    }); // prettier-ignore

    it('keeps every text, also such as no column can hold', async () => {
      const display = 'NUL \0 half \ud800 Ümlaut';
      const principal = { kind: 'os', issuer: null, subject: 's', display } as const;
      await records.trail.append(batchOf({ principal, client: null, sent: JSON.stringify({ a: display }) }));
      const [call] = (await search()).calls;
      expect(JSON.parse(call!.principal!)).toEqual(principal);
      expect(call!.client).toBeNull();
      expect((await records.check.verify(WHOLE)).findings).toEqual([]);
    });

    it('filters by tool, principal, outcome and time', async () => {
      const bob = { kind: 'os', issuer: null, subject: '7:bob', display: 'Bob' } as const;
      await records.trail.append(
        batchOf(
          { tool: 'a', at: NOW },
          { tool: 'b', at: NOW + 10, outcome: 'refused', principal: bob },
          { tool: 'c', at: NOW + 20, outcome: 'failed', principal: null },
        ),
      );
      expect(await tools({})).toEqual(['c', 'b', 'a']);
      expect(await tools({ tool: ['a', 'c'] })).toEqual(['c', 'a']);
      expect(await tools({ principal: ['bob'] })).toEqual(['b']);
      expect(await tools({ principal: ['1000:alice', '7:bob'] })).toEqual(['b', 'a']);
      expect(await tools({ outcome: ['refused', 'failed'] })).toEqual(['c', 'b']);
      expect(await tools({ span: { since: NOW + 10, until: NOW + 20 } })).toEqual(['b']);
      expect(await tools({ tool: ['a'], outcome: ['refused'] })).toEqual([]);
      expect(await records.trail.names('tool', 2)).toEqual(['a', 'b']);
      expect(await records.trail.names('principal', 9)).toEqual(['1000:alice', '7:bob', 'alice', 'bob']);
    });

    it('answers one principal only what is its own, whatever others are called', async () => {
      const own = { kind: 'key', issuer: 'l1', subject: 'abc', display: 'Ci' } as const;
      const alike = { ...own, issuer: 'l2', display: 'x","issuer":"l1","kind":"key","subject":"abc' } as const;
      await records.trail.append(
        batchOf({ tool: 'a', principal: own }, { tool: 'b', principal: { ...own, display: 'renamed' } }, { tool: 'c', principal: alike }, { tool: 'd', principal: { ...own, kind: 'oidc' } }, { tool: 'e' }, { tool: 'f', principal: null }),
      );
      expect((await tools({ own })).sort()).toEqual(['a', 'b']);
      expect(await tools({ own: alike })).toEqual(['c']);
      expect((await search({ own, principal: ['ci'] })).total).toBe(1);
      expect((await search({ own: { ...own, issuer: null } })).total).toBe(0);
    }); // prettier-ignore

    it('pages through calls of one instant without losing or repeating any', async () => {
      const batch = batchOf(...Array.from({ length: 25 }, (_, n) => ({ at: NOW + Math.floor(n / 10) })));
      await records.trail.append(batch);
      const seen: string[] = [];
      let after: CallPage['next'] = null;
      do {
        const page: CallPage = await search({}, { limit: 7, after });
        expect(page.total).toBe(25);
        seen.push(...page.calls.map(({ id }) => id));
        after = page.next;
      } while (after);
      const ids = (batch.facts['calls'] as { id: string }[]).map(({ id }) => id);
      expect(new Set(seen)).toEqual(new Set(ids));
      expect(seen).toHaveLength(25);
    });

    it('is chained right before the intent that it led to, or not at all', async () => {
      const past = { requested_at: NOW, allow_concurrent: false };
      const intent = intentFor(past);
      const calls = batchOf({}, { tool: 'run_action', outcome: 'launched', run_id: intent.event.run_id });
      expect(await records.ledger.request({ ...intent, calls })).toMatchObject({ outcome: 'stored' });
      expect(await records.ledger.proof(intent.event.run_id)).toMatchObject({ events: [{ seq: 2 }], head: { seq: 2 } });
      const second = { ...intentFor(past), calls: batchOf({ tool: 'not_stored' }) };
      expect(await records.ledger.request(second)).toMatchObject({ outcome: 'active' });
      expect((await search()).total).toBe(2);
      expect(await tools({ tool: ['not_stored'] })).toEqual([]);
      expect(await records.check.verify(WHOLE)).toMatchObject({ findings: [], size: 2, checked: { runs: 1 } });
    }); // prettier-ignore

    it('is no news about runs', async () => {
      await records.ledger.request(intentFor({ requested_at: NOW }));
      await records.trail.append({ ...batchOf({}), at: NOW + 5_000 });
      expect(await records.ledger.status()).toMatchObject({ newest_at: NOW, events: 2, runs: { total: 1 } });
    });

    it('is verified on from where an earlier verification ended', async () => {
      await records.trail.append(batchOf({}));
      const { size, head, frontier } = await records.check.verify(WHOLE);
      await records.trail.append(batchOf({}, {}));
      const rest = await records.check.verify({ from: { size, head, frontier }, known: [] });
      expect(rest).toMatchObject({
        findings: [],
        size: 2,
        checked: { events: 1, runs: 0, private_values: 8 },
      });
    });

    it('takes batches from many connections at once', async () => {
      const others = Array.from({ length: 4 }, () => kind.connect(place.at()));
      await Promise.all(
        others.flatMap(({ trail }) => [trail.append(batchOf({}, {})), trail.append(batchOf({}))]),
      );
      expect((await search()).total).toBe(12);
      expect((await records.check.verify(WHOLE)).findings).toEqual([]);
      await Promise.all(others.map((one) => one.close()));
    });
  });
}
