import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { systemClock } from '../../src/adapters/host/host.ts';
import type { Records } from '../../src/history/records.ts';
import type { RunEvent } from '../../src/runs/action-run.ts';
import type { BundleEvent } from '../../src/ledger/archive.ts';
import { bundleRun } from '../../src/ledger/bundled-run.ts';
import { importEvent } from '../../src/ledger/import-bundle.ts';
import { createProofTree } from '../../src/ledger/inclusion.ts';
import { intentFor, mintId, openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';
import { storeHistoryIn } from './ledger-history.ts';

/** What every archive must do; `open` gives an empty ledger. */
function archiveContract(open: () => Promise<Records>): void {
  let records: Records;
  beforeEach(async () => {
    records = await open();
  });

  const bundle = (n: number): BundleEvent => ({
    kind: 'bundle_imported',
    run_id: '',
    at: systemClock.now(),
    facts: { bundle: `digest-${n}`, runs: 2 },
    private: {},
  });
  const imported = (id: string): RunEvent => {
    const { event } = intentFor({ id, requested_at: 5, display: 'Ada', source: 'ingest', status: 'success' });
    return {
      ...event,
      kind: 'run_imported',
      facts: { ...event.facts, status: 'success', launched: true, started_at: 6 },
    };
  };
  const kinds = async (): Promise<number> => (await records.ledger.status()).events;
  const verify = () => records.check.verify({ from: null, known: [] });

  it('gives hashes in pages and events with their values', async () => {
    const runs = await storeHistoryIn(records);
    const hashes = [...(await records.archive.hashes(0, 4)), ...(await records.archive.hashes(4, 100))];
    expect(hashes).toHaveLength(10);
    const found = await records.archive.events([runs[1]!, 'nobody']);
    expect(found.map(({ event }) => event.kind)).toEqual([
      'run_requested',
      'run_adopted',
      'run_cancel_requested',
      'run_finished',
    ]);
    for (const { event } of found) {
      expect(hashes[event.seq - 1]).toBe(event.hash);
      // The log's digest is private, though the object around it is not.
      expect(event.facts).not.toMatch(/a{64}/);
    }
    expect(found[2]!.values.map(({ name, value }) => [name, value])).toEqual([
      ['cancel_reason', '"wrong window"'],
      ['cancelled_by', '"ada"'],
    ]);
    const { root } = await verify();
    const tree = await createProofTree((async function* () {
      yield hashes;
    })()); // prettier-ignore
    expect(tree.root).toBe(root);
  });

  it('imports each run once, each bundle once, and nothing for nothing', async () => {
    const [a, b, c] = [mintId(), mintId(), mintId()];
    expect(await records.archive.absent([a, b])).toEqual([a, b]);
    expect(await records.archive.import({ bundle: bundle(1), runs: [imported(a)] })).toEqual([a]);
    // As after an interruption: the rest of the same bundle.
    expect(await records.archive.import({ bundle: bundle(1), runs: [imported(a), imported(b)] })).toEqual([
      b,
    ]);
    expect(await kinds()).toBe(3);
    expect(await records.archive.import({ bundle: bundle(2), runs: [imported(a), imported(b)] })).toEqual([]);
    expect(await kinds()).toBe(3);
    expect(await records.archive.import({ bundle: bundle(2), runs: [imported(c)] })).toEqual([c]);
    expect(await kinds()).toBe(5);
    expect(await records.archive.absent([a, b, c, 'd'])).toEqual(['d']);
    expect(await verify()).toMatchObject({ findings: [], checked: { events: 5, runs: 3 } });
    expect(await records.ledger.find(a)).toMatchObject({ source: 'ingest', status: 'success' });
    expect(await records.ledger.find('')).toBeNull();
  });

  it('writes one event for a bundle that two import at once', async () => {
    const ids = [mintId(), mintId(), mintId()];
    const runs = ids.map(imported);
    const both = await Promise.all([1, 1].map((n) => records.archive.import({ bundle: bundle(n), runs })));
    expect(both.flat().sort()).toEqual([...ids].sort());
    expect(await kinds()).toBe(4);
  });

  it('keeps what is private private, and leaves out who was erased', async () => {
    const runs = await storeHistoryIn(records);
    const tree = await createProofTree((async function* () {
      yield await records.archive.hashes(0, 100);
    })()); // prettier-ignore
    for (const id of runs.slice(0, 2)) {
      const line = bundleRun(id, await records.archive.events([id]), { tree, people: true });
      const elsewhere = { ledger: 'l', size: 9, root: 'r', key_id: 'k', bundle: 'b' };
      const whole = await importEvent(line, { ports: { isErased: async () => false }, elsewhere, at: 1 });
      expect(whole.erased).toBe(0);
      expect(JSON.stringify(whole.event.facts)).not.toMatch(/Ada|deploy|host-1|a{64}/);
      const isErased = async (name: string) => ['Ada', 'ada'].includes(name);
      const partly = await importEvent(line, { ports: { isErased }, elsewhere, at: 1 });
      // As a word: an id may have these letters too.
      expect(JSON.stringify(partly.event)).not.toMatch(/\bada\b/i);
      // Who asked for the run loses all that tells of them, the digest of what it printed is nobody's.
      expect(Object.keys(partly.event.private)).toEqual(['approval', 'log.sha256']);
      expect(partly.erased).toBe(id === runs[0] ? 5 : 7);
    }
  });
}

describe('the archive of a ledger in SQLite', () => {
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  let records: Records;
  afterEach(async () => {
    await records.close();
    await folder.remove();
  });
  archiveContract(async () => {
    folder = await tempFolder('archive');
    return (records = openSqlite(folder.path));
  });
});

describeWithPostgres('the archive of a ledger in PostgreSQL', () => {
  let server: PostgresServer;
  let place: Place;
  let records: Records;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterEach(async () => {
    await records.close();
    await place.remove();
  });
  afterAll(() => server.stop());
  archiveContract(async () => {
    place = await server.place();
    return (records = createPostgresLedger({ url: place.url, log: () => undefined }));
  });
});
