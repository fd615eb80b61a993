import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import { isOpen } from '../../src/runs/action-run.ts';
import type { Executor } from '../../src/runs/executor.ts';
import { LEASE_MS } from '../../src/runs/supervision.ts';
import { createSupervisor } from '../../src/runs/supervisor.ts';
import type { ProcessIdentity } from '../../src/shared/ports.ts';
import { ELSEWHERE, intentFor } from '../support/fill-ledger.ts';
import { describeWithPostgres, usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';

const HOUR = 3_600_000;
const HERE: ProcessIdentity = { ...ELSEWHERE, host: 'here' };

/** An engine where nothing of a run is to be found: an adopted run is closed at once. */
const emptyEngine = {
  kind: 'docker',
  adoptable: false,
  find: async () => ({ state: 'absent' }),
  discard: async () => undefined,
} as unknown as Executor;

describeWithPostgres('servers on hosts whose clocks differ by two hours', () => {
  let server: PostgresServer;
  let place: Place;
  let records: Records;
  beforeAll(async () => {
    server = await usePostgres();
    place = await server.place();
    records = createPostgresLedger({ url: place.url, log: () => undefined });
  });
  afterAll(async () => {
    await records.close();
    await place.remove();
    await server.stop();
  });

  /** A server on a host of that clock, from which no process of the other host can be seen. */
  const serverWith = (clock_off: number): ReturnType<typeof createSupervisor> => {
    const unused = new Proxy({}, { get: () => async () => null }) as never;
    return createSupervisor(
      {
        ...records,
        logs: unused,
        files: { remove: async () => undefined, folder: () => '/nowhere', read: async () => null } as never,
        copies: { remove: async () => undefined, bringBack: async () => null } as never,
        contexts: unused,
        executor: () => emptyEngine,
        processes: { self: () => HERE, state: () => 'unseen' },
        executes: true,
        lostAfterMs: null,
        clock: { now: () => Date.now() + clock_off, sleep: async () => undefined },
        log: () => undefined,
      },
      unused,
    );
  };
  const requestedBy = async (clock_off: number): Promise<string> => {
    const at = Date.now() + clock_off;
    const intent = intentFor({ requested_at: at });
    await records.ledger.request({ ...intent, lease: { ...intent.lease, expires_at: at + LEASE_MS } });
    return intent.event.run_id;
  };
  const isStillOpen = async (run_id: string): Promise<boolean> =>
    isOpen((await records.ledger.find(run_id))!);

  it.each([
    ['behind', -2 * HOUR],
    ['ahead', 2 * HOUR],
  ])(
    'a run keeps its supervisor while that renews, whose clock is %s, and loses it afterwards',
    async (_, off) => {
      const run_id = await requestedBy(off);
      for (const other of [0, -off, off]) {
        expect(await serverWith(other).recover()).toBe(0);
        expect(await isStillOpen(run_id)).toBe(true);
      }
      // The owner was stopped for longer than a lease lives.
      await records.leases.renew(ELSEWHERE, (await records.leases.now()) - 1);
      const other = serverWith(-off);
      expect(await other.recover()).toBe(1);
      await other.idle();
      expect(await records.ledger.find(run_id)).toMatchObject({ status: 'failed', launched: false });
    },
  );

  it('expire by the clock of the database', async () => {
    const before = await records.leases.now();
    const run_id = await requestedBy(-2 * HOUR);
    const after = await records.leases.now();
    const lease = (await records.leases.list()).find((one) => one.run_id === run_id)!;
    expect(lease.expires_at).toBeGreaterThanOrEqual(before + LEASE_MS);
    expect(lease.expires_at).toBeLessThanOrEqual(after + LEASE_MS);
    await records.leases.give({ run_id, fence: 1 }, 'delete');
  });
});
