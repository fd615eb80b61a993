import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ForeignRun, StoredRow } from '../../src/ledger/mirror.ts';
import type { Records } from '../../src/history/records.ts';
import { rollupDigest } from '../../src/ledger/rollup.ts';
import { intentFor, storeRun } from '../support/fill-ledger.ts';
import { foreignRun, NOON, page } from '../support/foreign.ts';
import type { LedgerKind } from './run-ledger.contract.ts';
import { usePlace } from './use-place.ts';

export type MirrorKind = Pick<LedgerKind, 'name' | 'place' | 'connect'>;

const WHOLE = { from: null, known: [] };

/** What every store of mirrored runs promises, whatever it is made of. */
export function mirrorContract(kind: MirrorKind): void {
  describe(`mirrored runs on ${kind.name}`, () => {
    const place = usePlace(kind);
    let records: Records;
    beforeEach(() => {
      records = place.connect();
    });

    const search = async (filters = {}) => {
      const all = { span: { since: null, until: null }, time_field: 'started' as const, ...filters };
      return await records.history.search({ filters: all, include_excluded: false, order: 'oldest', limit: 100, after: null });
    };
    const sound = async (): Promise<void> => {
      expect((await records.check.verify(WHOLE)).findings).toEqual([]);
    };
    const events = async (): Promise<number> => (await records.ledger.status()).events;

    it('stores runs that are found by id, by the id of their source, by user and by host', async () => {
      const stored = await records.mirror.storePage(page([foreignRun('4711'), foreignRun('4712', { os_user: 'Carl', started_at: NOON + 60_000 })]));
      expect(stored).toMatchObject({ added: 2, joined: 0, changed: 0, unchanged: 0 });
      const [first, second] = stored.run_ids as [string, string];
      expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      expect(parseInt(first.slice(0, 8) + first.slice(9, 13), 16)).toBe(NOON);
      const run = await records.ledger.find('4711');
      expect(run).toMatchObject({ id: first, source: 'api', status: 'success', launched: true, hostname: 'laptop-7', aliases: [{ source: 'api', endpoint: 'main', id: '4711' }] });
      expect(run!.evidence.claimed).toEqual(expect.arrayContaining(['principal', 'status', 'started_at']));
      expect((await search({ user: ['bea@EXAMPLE.org'] })).total).toBe(2);
      expect((await search({ user: ['carl'] })).runs.map(({ id }) => id)).toEqual([second]);
      expect((await search({ source: 'api' })).total).toBe(2);
      const proof = await records.ledger.proof(first);
      expect(proof!.events).toEqual([expect.objectContaining({ seq: 1 })]);
      await sound();
    });

    it('writes nothing for what it knows, and moves the position', async () => {
      const rows = [foreignRun('a'), foreignRun('b', { started_at: NOON + 90_000 })];
      const first = await records.mirror.storePage(page(rows, { position: { after: 2 }, missing: 'older runs' }));
      const again = await records.mirror.storePage(page(rows, { position: { after: 3 } }));
      expect(again).toEqual({ added: 0, joined: 0, changed: 0, unchanged: 2, run_ids: first.run_ids, rows: first.rows.map((row) => ({ ...row, fresh: false })) });
      expect(await events()).toBe(1);
      expect(await records.mirror.standing('api', 'main')).toEqual({
        source: 'api', endpoint: 'main', position: { after: 3 }, runs: 2, oldest: NOON, newest: NOON + 90_000,
        success_at: NOON + 1_000, problem: null, missing: 'older runs',
      });
      await records.mirror.failed('api', 'main', { at: NOON + 2_000, says: 'out of reach' });
      await records.mirror.failed('api', 'other', { at: NOON, says: 'never there' });
      expect(await records.mirror.standings()).toEqual([
        expect.objectContaining({ endpoint: 'main', position: { after: 3 }, problem: { at: NOON + 2_000, says: 'out of reach' } }),
        expect.objectContaining({ endpoint: 'other', position: null, runs: 0, success_at: null }),
      ]);
      await records.mirror.storePage(page([], { missing: null }));
      expect(await records.mirror.standing('api', 'main')).toMatchObject({ problem: null, missing: null, runs: 2 });
      expect(await records.mirror.standing('logs', 'main')).toBeNull();
      expect(await events()).toBe(1);
    });

    it('refuses a row alone whose conditions do not hold, also against rows of the same page', async () => {
      const reports = { source: 'ingest', endpoint: 'reports' } as const;
      const open = { status: 'running', exit_code: null } as const;
      const only = (id: string, record: object, only_if: ForeignRun['only_if']): ForeignRun => ({ ...foreignRun(id, { ...open, ...record }), only_if });
      const own = await storeRun(records, { requested_at: NOON, status: 'running', block: 'held' });
      const rows = [only('a', {}, { alone: true, after: null }), only('b', {}, { alone: true }), only('c', { block: 'held' }, { alone: true }), only('d', { workspace: 'till' }, { alone: true }), only('e', {}, {})];
      const stored = await records.mirror.storePage(page(rows, reports));
      expect(stored).toMatchObject({ added: 3, refused: [{ row: 1, why: 'active', run_id: stored.run_ids[0] }, { row: 2, why: 'active', run_id: own.id }] });
      expect(stored.run_ids.map((id) => id === '')).toEqual([false, true, true, false, false]);
      const [row] = await records.mirror.current('ingest', 'reports', ['a', 'b']);
      expect(row).toMatchObject({ foreign_id: 'a', run_id: stored.run_ids[0], current: 1 });
      const [{ seq, position }] = stored.rows as [StoredRow];
      expect(row).toMatchObject({ seq, position });
      expect(stored.rows[1]).toBeNull();
      const after = { seq, position };
      const ends = [only('a', { status: 'success', exit_code: 0 }, { after }), only('a', { status: 'failed', exit_code: 1 }, { after }), only('a', {}, { after: null })];
      const ended = await records.mirror.storePage(page(ends, reports));
      expect(ended).toMatchObject({ changed: 1, refused: [{ row: 1, why: 'stale' }, { row: 2, why: 'stale', run_id: row!.run_id }] });
      expect(await records.ledger.find('a')).toMatchObject({ status: 'success', source: 'ingest' });
      // What was reported and is open is in the way of what is to run here, too.
      const wanted = (block: string, workspace = 'shop') => ({ ...intentFor({ requested_at: NOON, organization: 'acme', workspace, block }), exclusive: true });
      const inTheWay = (await records.ledger.find('d'))!;
      expect(await records.ledger.request(wanted(inTheWay.block!, 'till'))).toEqual({ outcome: 'active', run_id: inTheWay.id });
      // The one that ended is in nobody's way; what other sources say of open runs may be old, and is not either.
      await records.mirror.storePage(page([foreignRun('x', { ...open, block: 'seen' }), foreignRun('y', { ...open, block: 'seen too' })]));
      expect(await records.ledger.request(wanted('seen too'))).toMatchObject({ outcome: 'stored' });
      const more = await records.mirror.storePage(page([only('f', { block: 'seen' }, { alone: true })], reports));
      expect(more).not.toHaveProperty('refused');
      await sound();
    });

    it('replaces a row that changed, keeps the id, and can still prove the old one', async () => {
      const open = foreignRun('a', { status: 'running', exit_code: null });
      const before = await records.mirror.storePage(page([open]));
      const after = await records.mirror.storePage(page([foreignRun('a', { status: 'failed', exit_code: 3, finished_at: NOON + 9, started_at: NOON + 7 })]));
      expect(after).toMatchObject({ changed: 1, run_ids: before.run_ids });
      expect(await records.ledger.find(before.run_ids[0]!)).toMatchObject({ status: 'failed', exit_code: 3, started_at: NOON + 7 });
      expect((await search()).total).toBe(1);
      expect(await events()).toBe(2);
      expect((await records.ledger.proof(before.run_ids[0]!))!.events).toHaveLength(2);
      await sound();
    });

    it('adds to a run of its own what others know of it, and says where they contradict', async () => {
      const own = await storeRun(records, { requested_at: NOON, exit_code: 0, duration_ms: 1_000 });
      const api = { action_run_id: 'x', url: 'https://api.example/x', submission: null };
      const row = foreignRun('x', { api, status: 'failed', exit_code: 1, finished_at: NOON + 60_000 }, [own.id]);
      expect(await records.mirror.storePage(page([row]))).toMatchObject({ added: 0, joined: 1, changed: 0, unchanged: 0, run_ids: [own.id], rows: [{ run_id: own.id, fresh: false }] });
      const run = await records.ledger.find('x');
      expect(run).toMatchObject({ id: own.id, source: 'ledger', status: 'success', exit_code: 0, api, aliases: [{ source: 'api', endpoint: 'main', id: 'x' }] });
      const place = { source: 'api', endpoint: 'main', id: 'x' };
      expect(run!.contradictions).toEqual([
        { field: 'status', says: 'failed', ...place }, { field: 'exit_code', says: 1, ...place }, { field: 'finished_at', says: NOON + 60_000, ...place },
      ]);
      expect((await search()).total).toBe(1);
      const size = await events();
      await records.mirror.storePage(page([row]));
      expect(await events()).toBe(size);
      const right = foreignRun('x', { api, finished_at: NOON + 2_000 }, [own.id]);
      await records.mirror.storePage(page([right]));
      expect(await records.ledger.find('x')).not.toHaveProperty('contradictions');
      await sound();
    });

    it('goes on writing a run of its own that others saw before it ended', async () => {
      const own = await storeRun(records, { requested_at: NOON, status: 'running' });
      await records.mirror.storePage(page([foreignRun('x', { status: 'running', exit_code: null }, [own.id])]));
      expect(await records.ledger.find('x')).not.toHaveProperty('contradictions');
      // Two say that it is over, of which one turns out to be right.
      const over = { status: 'failed', exit_code: 4, finished_at: NOON + 900 } as const;
      await records.mirror.storePage(page([foreignRun('y', over, [own.id]), foreignRun('z', { finished_at: NOON + 900 }, [own.id])]));
      const said = ({ field, id }: { field: string; id: string }) => `${id} ${field}`;
      expect((await records.ledger.find('x'))!.contradictions!.map(said).sort()).toEqual([
        'y exit_code', 'y finished_at', 'y status', 'z exit_code', 'z finished_at', 'z status',
      ]);
      const facts = { status: 'failed', exit_code: 4, finished_at: NOON + 5 };
      await records.ledger.append({ kind: 'run_finished', run_id: own.id, at: NOON + 5, facts, private: {} });
      const ended = await records.ledger.find('x');
      expect(ended).toMatchObject({ id: own.id, status: 'failed', exit_code: 4 });
      expect(ended!.contradictions!.map(said).sort()).toEqual(['z exit_code', 'z status']);
      await sound();
    });

    it('takes the same run from all sources as one, whoever comes first', async () => {
      const own = await storeRun(records, { requested_at: NOON, status: 'success', exit_code: 0 });
      const [cli, shared] = [randomUUID(), randomUUID()];
      for (const [source, id, ids] of [
        ['ingest', shared, [cli]], ['api', 'x', [shared]], ['logs', cli, []], ['api', 'y', [own.id]], ['ingest', randomUUID(), ['y', own.id]], ['logs', randomUUID(), [own.id]],
      ] as const)
        await records.mirror.storePage(page([foreignRun(id, { started_at: ids.includes(own.id as never) ? NOON : NOON + 600_000 }, [...ids])], { source, endpoint: `a ${source}` }));
      const { runs, total, possible_duplicates } = await search();
      expect([total, possible_duplicates, runs.map(({ source }) => source)]).toEqual([2, 0, ['ledger', 'ingest']]);
      expect(runs.map(({ aliases }) => aliases.map(({ source }) => source).filter((source) => source !== 'cli').sort())).toEqual([
        ['api', 'ingest', 'logs'], ['api', 'ingest', 'logs'],
      ]);
      await sound();
    });

    it('makes one run of two sources that share an id', async () => {
      const transaction = randomUUID();
      const logs = { source: 'logs', endpoint: 'acme/shop' } as const;
      const [first] = (await records.mirror.storePage(page([foreignRun(transaction, { os_user: 'bea', cli_version: '0.30.0' })], logs))).run_ids;
      const stored = await records.mirror.storePage(page([foreignRun('77', { exit_code: 2, status: 'failed', hostname: null, finished_at: NOON + 8_000 }, [transaction])]));
      expect(stored).toMatchObject({ joined: 1, run_ids: [first] });
      expect((await search()).runs).toEqual([
        expect.objectContaining({
          id: first, source: 'api', exit_code: 2, hostname: 'laptop-7', os_user: 'bea', cli_version: '0.30.0',
          contradictions: [expect.objectContaining({ field: 'status', says: 'success', source: 'logs' }), expect.objectContaining({ field: 'exit_code', says: 0 })],
        }),
      ]);
      for (const id of ['77', transaction]) expect((await records.ledger.find(id))!.id).toBe(first);
      await sound();
    });

    it('makes one run of two, when a later row has the ids of both', async () => {
      const transaction = randomUUID();
      const own = await storeRun(records, { requested_at: NOON });
      const logs = { source: 'logs', endpoint: 'acme/shop' } as const;
      const [alone] = (await records.mirror.storePage(page([foreignRun(transaction, { started_at: NOON + 2_000 })], logs))).run_ids as [string];
      expect(await records.ledger.find(transaction)).toMatchObject({ id: alone, possible_duplicate_of: own.id });
      expect(await search()).toMatchObject({ total: 2, possible_duplicates: 1 });
      await records.mirror.storePage(page([foreignRun('x', {}, [transaction, own.id])]));
      expect(await search()).toMatchObject({ total: 1, possible_duplicates: 0 });
      for (const id of [alone, transaction, 'x']) expect((await records.ledger.find(id))!.id).toBe(own.id);
      expect(await records.mirror.storePage(page([foreignRun(transaction, { started_at: NOON + 2_000 })], logs))).toMatchObject({ unchanged: 1, run_ids: [own.id] });
      await sound();
    });

    it('keeps apart what only looks alike, and what claims to be a run of another action', async () => {
      const own = await storeRun(records, { requested_at: NOON, duration_ms: 10 });
      const rows = [
        foreignRun('like', { started_at: NOON + 3_000 }),
        foreignRun('late', { started_at: NOON + 30_000 }),
        foreignRun('other code', { exit_code: 1, status: 'failed' }),
        foreignRun('claims', { action: 'drop', started_at: NOON + 7_200_000 }, [own.id]),
      ];
      expect(await records.mirror.storePage(page(rows))).toMatchObject({ added: 4 });
      const found = await search();
      expect(found).toMatchObject({ total: 5, possible_duplicates: 2 });
      const duplicates = found.runs.filter((run) => run.possible_duplicate_of === own.id);
      expect(duplicates.map(({ aliases }) => aliases[0]!.id)).toEqual(['like', 'claims']);
      await sound();
    });

    it('compares short ids only with their own source', async () => {
      await records.mirror.storePage(page([foreignRun('1')]));
      await records.mirror.storePage(page([foreignRun('1', { started_at: NOON + 90_000 })], { endpoint: 'other' }));
      expect((await search()).total).toBe(2);
    });

    it('tells which rows of a span of time an endpoint had, and which of them are gone', async () => {
      const own = await storeRun(records, { requested_at: NOON - 86_400_000 });
      const late = (n: number) => ({ requested_at: NOON + n, started_at: NOON + n });
      const gone = { endpoint: 'main', action_run_id: 'b', url: null, submission: null, gone: { how: 'deleted' as const, seen_at: NOON } };
      await records.mirror.storePage(page([
        foreignRun('a', late(0)), foreignRun('b', { ...late(10), api: gone }), foreignRun('c', late(20)),
        // Of our own, reported a day later.
        foreignRun('d', { requested_at: NOON + 5, started_at: NOON - 86_400_000 }, [own.id]),
      ]));
      await records.mirror.storePage(page([foreignRun('e', late(7))], { endpoint: 'other' }));
      const place = { source: 'api', endpoint: 'main' } as const;
      const found = await records.mirror.between(place, { from: NOON, to: NOON + 10 });
      expect(found.map(({ id, gone }) => [id, gone]).sort()).toEqual([['a', false], ['b', true], ['d', false]]);
      expect(await records.mirror.between(place, { from: NOON + 11, to: NOON + 19 })).toEqual([]);
    });

    it('stores a page only behind the position that it is read from, if it says so', async () => {
      const step = (id: string, expected: number | null, position: number) => records.mirror.storePage(page([foreignRun(id)], { expected, position }));
      await step('a', null, 1);
      await expect(step('b', null, 1)).rejects.toMatchObject({ code: 'lease_lost' });
      await expect(step('b', 7, 8)).rejects.toMatchObject({ code: 'lease_lost' });
      expect(await records.ledger.find('b')).toBeNull();
      await step('b', 1, 2);
      expect(await records.mirror.standing('api', 'main')).toMatchObject({ position: 2, runs: 2 });
      await sound();
    });

    it('two writers at once store a row once', async () => {
      const other = kind.connect(place.at());
      try {
        const rows = Array.from({ length: 20 }, (_, n) => foreignRun(randomUUID(), { started_at: NOON + n * 60_000 }));
        const pages = await Promise.all([records, other, records, other].map(({ mirror }) => mirror.storePage(page(rows))));
        expect(pages.map(({ added }) => added).sort((a, b) => a - b)).toEqual([0, 0, 0, 20]);
        expect((await search()).total).toBe(20);
        await sound();
      } finally {
        await other.close();
      }
    });

    it('erases a person from mirrored rows, who does not come back with a later sync', async () => {
      const carl = { principal: { kind: 'api' as const, issuer: null, subject: 'carl@example.org', display: 'Carl' }, started_at: NOON + 90_000 };
      const rows = [foreignRun('a', { status: 'running', exit_code: null }), foreignRun('b', carl)];
      await records.mirror.storePage(page(rows));
      const done = await records.upkeep.erase({ subject: 'BEA', logs: true, at: NOON + 5_000, by: {} });
      expect(done).toMatchObject({ names: ['bea', 'bea@example.org'], values: 2, mirrored_values: 2, runs: 1, requested: [expect.any(String)] });
      expect(await records.ledger.find('a')).toMatchObject({ principal: null, hostname: null, status: 'running' });
      expect(await records.ledger.find('b')).toMatchObject({ principal: carl.principal, hostname: 'laptop-7' });
      await sound();
      expect(await records.mirror.storePage(page(rows))).toMatchObject({ unchanged: 2 });
      await records.mirror.storePage(page([foreignRun('a'), foreignRun('c', { started_at: NOON + 500_000 })]));
      expect((await search({ user: ['bea'] })).total).toBe(0);
      for (const id of ['a', 'c']) expect((await records.ledger.find(id))!.principal).toBeNull();
      await sound();
    });

    it('prunes rows with their page, and derives anew what has later rows', async () => {
      await records.mirror.storePage(page([foreignRun('gone'), foreignRun('stays', { status: 'running', exit_code: null, started_at: NOON + 90_000 })]));
      await records.mirror.storePage(page([foreignRun('stays', { started_at: NOON + 90_000 })], { at: NOON + 600_000 }));
      const plan = await records.upkeep.planPrune(NOON + 300_000);
      expect(plan).toMatchObject({ size: 1, events: 1, runs: [expect.any(String)] });
      expect(plan.rollups).toEqual([expect.objectContaining({ runs: 1, block: 'db', status: 'success' })]);
      const rollups = { rows: 1, runs: 1, digest: rollupDigest(plan.rollups) };
      const pruning = { format: 'polycrate-mcp pruning 1', ledger: '', size: 1, head: plan.head, root: plan.root, frontier: [...plan.frontier], before: NOON, at: NOON, rollups, tombstones: [], key_id: '0'.repeat(64), signature: '' } as const;
      await records.upkeep.prune({ plan, pruning: { ...pruning, frontier: [...plan.frontier], tombstones: [] }, at: NOON + 700_000, by: {} });
      expect(await records.ledger.find('gone')).toBeNull();
      expect(await records.ledger.find('stays')).toMatchObject({ status: 'success' });
      expect(await records.mirror.standing('api', 'main')).toMatchObject({ runs: 1, oldest: NOON + 90_000 });
      const { findings } = await records.check.verify(WHOLE);
      expect(findings).toEqual([]);
    });
  });
} // prettier-ignore
