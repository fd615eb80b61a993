import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { createLocalExchange } from '../../src/adapters/sqlite/exchange.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { exchangeContract } from './exchange.contract.ts';

exchangeContract('SQLite', async () => {
  const exchange = createLocalExchange();
  return { here: exchange, there: exchange, close: async () => undefined };
});

describeWithPostgres('PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(() => server.stop());

  exchangeContract('PostgreSQL', async () => {
    const { url, remove } = await server.place();
    const [here, there] = [url, url].map((one) => createPostgresLedger({ url: one, log: () => undefined }));
    return {
      here: here!.exchange,
      there: there!.exchange,
      async close() {
        await Promise.all([here!.close(), there!.close()]);
        await remove();
      },
    };
  });
});
