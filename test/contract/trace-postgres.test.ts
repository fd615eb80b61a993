import { afterAll, beforeAll } from 'vitest';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { postgresPlace } from './ledger-places.ts';
import { traceContract } from './trace.contract.ts';

describeWithPostgres('with a server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(() => server.stop());

  traceContract('PostgreSQL', () => postgresPlace(server));
});
