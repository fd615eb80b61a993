import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { pruningContract } from './ledger-prune.contract.ts';

const TRIGGERS = { events: 'events_never_change', event_private: 'event_private_never_changes' };

describeWithPostgres('with a server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(() => server.stop());

  pruningContract('PostgreSQL', async () => {
    const [place, home] = [await server.place(), await tempFolder('prune-postgres')];
    const records = createPostgresLedger({ url: place.url, log: () => undefined });
    const each = (change: (table: string, trigger: string) => string): string =>
      Object.entries(TRIGGERS)
        .map(([table, trigger]) => `${change(table, trigger)};`)
        .join('');
    return {
      records,
      home: home.path,
      tamper: async (sql) =>
        void (await server.query(
          `SET search_path = ${place.schema};${each((table) => `ALTER TABLE ${table} DISABLE TRIGGER USER`)}${sql};${each(
            (table, trigger) => `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${trigger}`,
          )}RESET search_path`,
        )),
      async remove() {
        await records.close();
        await place.remove();
        await home.remove();
      },
    };
  });
});
