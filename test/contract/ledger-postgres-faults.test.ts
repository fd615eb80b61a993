import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createDatabase } from '../../src/adapters/postgres/database.ts';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import { intentFor, mintId, type Past } from '../support/fill-ledger.ts';
import { openPostgresProxy, type PostgresProxy } from '../support/postgres-proxy.ts';
import {
  describeWithOwnPostgres,
  ownPostgres,
  type OwnPostgresServer,
  type Place,
} from '../support/postgres.ts';
import { until } from '../support/traces.ts';
import { faultsOf } from '../support/recheck-chain.ts';
import { owner } from './run-ledger.contract.ts';

// prettier-ignore
const NOW = Date.UTC(2026, 8, 1);
const KEY = { scope: 's', key: 'k', arguments_digest: 'a', valid_ms: 86_400_000 };

describeWithOwnPostgres('a ledger on PostgreSQL when things break', () => {
  let server: OwnPostgresServer;
  let proxy: PostgresProxy;
  let place: Place;
  let open: Records[];
  /** `far` goes through the proxy, `near` does not. */
  let far: Records;
  let near: Records;

  const connect = (url: string): Records => {
    const ledger = createPostgresLedger({ url, log: () => undefined });
    open.push(ledger);
    return ledger;
  };
  const rows = (sql: string): Promise<any[]> => server.query(sql.replaceAll('@', `${place.schema}.`));
  const chainFaults = async (): Promise<string[]> =>
    faultsOf(await rows('SELECT * FROM @events ORDER BY seq'), await rows('SELECT * FROM @event_private'));

  beforeAll(async () => {
    server = await ownPostgres();
    proxy = await openPostgresProxy(server.socket);
  });
  afterAll(async () => {
    await proxy.close();
    await server.stop();
  });
  beforeEach(async () => {
    place = await server.place();
    open = [];
    near = connect(place.url);
    far = connect(server.through(place, { port: proxy.port }));
    await Promise.all([near.ledger.status(), far.ledger.status()]);
  });
  afterEach(async () => {
    proxy.heal();
    await Promise.all(open.map((one) => one.close()));
    await place.remove();
  });

  it.each(['before', 'after'] as const)('an intent whose connection breaks %s its commit is stored once', async (moment) => {
    const before = proxy.broken();
    proxy.breakAt(moment, 'ledger_request', 2);
    const intent = { ...intentFor({ requested_at: NOW }), idempotency: KEY, exclusive: true, burn: { nonce: 'n', expires_at: NOW } };
    expect(await far.ledger.request(intent)).toMatchObject({ outcome: 'stored', fence: 1, run: { id: intent.event.run_id } });
    expect(proxy.broken() - before).toBe(2);
    expect(await near.ledger.status()).toMatchObject({ runs: { total: 1, open: 1 }, events: 1 });
    expect(await near.leases.list()).toMatchObject([{ run_id: intent.event.run_id, fence: 1 }]);
    expect(await chainFaults()).toEqual([]);
  }); // prettier-ignore

  it.each(['before', 'after'] as const)('an event whose connection breaks %s its commit is stored once', async (moment) => {
    const { event } = intentFor({ requested_at: NOW });
    await near.ledger.request(intentFor({ requested_at: NOW, id: event.run_id }));
    const alias = { source: 'api', endpoint: null, id: '4711' };
    proxy.breakAt(moment, 'ledger_append');
    const added = await far.ledger.append({ kind: 'run_alias_added', run_id: event.run_id, at: NOW, facts: { alias }, private: {} });
    expect(added.aliases).toEqual([alias]);
    proxy.breakAt(moment, 'ledger_append');
    const guard = { run_id: event.run_id, fence: 1 };
    const end = { kind: 'run_finished', run_id: event.run_id, at: NOW, facts: { status: 'failed' }, private: {} } as const;
    expect(await far.ledger.append(end, guard, { release: true })).toMatchObject({ status: 'failed', aliases: [alias] });
    expect(await near.ledger.status()).toMatchObject({ runs: { total: 1, open: 0 }, events: 3 });
    expect(await near.leases.list()).toEqual([]);
    expect(await chainFaults()).toEqual([]);
  }); // prettier-ignore

  it('a reading whose connection breaks between two statements begins again, and ends no process', async () => {
    const db = await createDatabase({ url: place.url, log: () => undefined });
    let attempts = 0;
    const read = await db.snapshot(async (query) => {
      attempts += 1;
      const [row] = await query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      if (attempts === 1) {
        const gone = `SELECT count(*)::integer AS left FROM pg_stat_activity WHERE pid = ${row!.pid}`;
        await server.query(`SELECT pg_terminate_backend(${row!.pid})`);
        await expect.poll(async () => (await server.query(gone))[0].left, { timeout: 20_000 }).toBe(0);
      }
      return await query<{ runs: number }>('SELECT count(*) AS runs FROM runs');
    });
    expect([attempts, read]).toEqual([2, [{ runs: 0 }]]);
    await db.close();
  }); // prettier-ignore

  it('a lease that was taken without an answer is ours, and only once', async () => {
    const intent = intentFor({ requested_at: NOW });
    await near.ledger.request(intent);
    const seen = { run_id: intent.event.run_id, fence: 1 };
    proxy.breakAt('after', 'ledger_lease_take');
    expect(await far.leases.take(seen, owner(1), NOW)).toMatchObject({ fence: 2, owner: owner(1) });
    expect(await far.leases.take(seen, owner(1), NOW)).toBeNull();
  });

  it.each(['before', 'after'] as const)('an intent that is given up, its connections broken %s commits, launches nothing later', async (moment) => {
    const hasty = createPostgresLedger({ url: server.through(place, { port: proxy.port }), log: () => undefined, patience_ms: 300 });
    open.push(hasty);
    await hasty.ledger.status();
    proxy.breakAt(moment, 'ledger_request', Infinity);
    const intent = intentFor({ requested_at: NOW });
    await expect(hasty.ledger.request(intent)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    proxy.heal();
    const token = await until('the withdrawal', async () => (await rows('SELECT token FROM @withdrawn'))[0]?.token as string);
    // Stored without our knowing: its lease is free for whoever looks for orphans. Not stored: it never will be.
    const stored = moment === 'after';
    const expected = stored ? [{ run_id: intent.event.run_id, expires_at: 0 }] : [];
    expect(await near.leases.list()).toMatchObject(expected);
    const late = JSON.stringify({ token, run_id: intent.event.run_id, at: NOW });
    await expect(rows(`SELECT @ledger_request(1, '${late}', NULL, NULL, false, NULL, NULL, NULL, NULL, NULL)`)).rejects.toThrow('given up');
    expect((await near.ledger.status()).events).toBe(stored ? 1 : 0);
  }); // prettier-ignore

  it('records go on after the database crashed in the middle of many appends', async () => {
    const ledgers = [near, far, connect(place.url)];
    const stored: string[] = [];
    let crashed = false;
    const work = ledgers.map(async ({ ledger }) => {
      // Each goes on for some records after the crash.
      for (let after = 0; after < 5; after += crashed ? 1 : 0) {
        const answer = await ledger.request(intentFor({ requested_at: NOW, reason: 'why' }));
        if (answer.outcome === 'stored') stored.push(answer.run.id);
      }
    });
    while (stored.length < 30) await near.watch.changed(100);
    await server.crash();
    crashed = true;
    await server.start();
    await Promise.all(work);
    const found = (await rows('SELECT run_id FROM @events ORDER BY seq')).map(
      ({ run_id }) => run_id as string,
    );
    expect([...found].sort()).toEqual([...stored].sort());
    expect(await chainFaults()).toEqual([]);
  });

  it('a waiting reader hears of a write although its connection broke meanwhile', async () => {
    await far.watch.changed(1);
    proxy.shut();
    const wait = far.watch.changed(30_000);
    proxy.open();
    const began = performance.now();
    await near.ledger.request(intentFor({ requested_at: NOW }));
    await wait;
    expect(performance.now() - began).toBeLessThan(6_000);
    expect((await far.ledger.status()).runs.total).toBe(1);
  });

  it('two replicas that race on one key and on one block launch one run each', async () => {
    for (let round = 0; round < 10; round++) {
      const key = { ...KEY, key: `k${round}` };
      const race = (past: Partial<Past>, more: object) =>
        Promise.all([near, far].map(({ ledger }) => ledger.request({ ...intentFor({ requested_at: NOW, ...past }), ...more })));
      const byKey = await race({ block: `a${round}` }, { idempotency: key });
      expect(byKey.map(({ outcome }) => outcome).sort()).toEqual(['replayed', 'stored']);
      const byBlock = await race({ block: `b${round}` }, { exclusive: true });
      expect(byBlock.map(({ outcome }) => outcome).sort()).toEqual(['active', 'stored']);
    }
  }); // prettier-ignore

  it('six clients that append at once make one chain without gaps', async () => {
    const clients = Array.from({ length: 6 }, () => connect(place.url));
    await Promise.all(
      clients.map(async ({ ledger }, n) => {
        for (let i = 0; i < 20; i++) {
          const id = mintId();
          await ledger.request(intentFor({ requested_at: NOW + i, id, reason: `${n} \u0000 \ud800 "ü" ${i}` }));
          await ledger.append({ kind: 'run_started', run_id: id, at: NOW, facts: { status: 'running' }, private: { approval: null } });
        }
      }),
    );
    expect((await near.ledger.status()).events).toBe(240);
    expect(await chainFaults()).toEqual([]);
  }); // prettier-ignore

  it('events of one run from two sides are all in its record', async () => {
    const id = mintId();
    await near.ledger.request(intentFor({ requested_at: NOW, id }));
    const alias = (n: number) => ({ source: 'api', endpoint: null, id: `alias-${n}` });
    await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        [near, far][n % 2]!.ledger.append({ kind: 'run_alias_added', run_id: id, at: NOW, facts: { alias: alias(n) }, private: {} })),
    );
    const run = await near.ledger.find(id);
    expect(run!.aliases.map((one) => one.id).sort()).toEqual(Array.from({ length: 8 }, (_, n) => `alias-${n}`));
  }); // prettier-ignore
});
