import { afterAll, beforeAll } from 'vitest';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { countsContract } from './ledger-counts.contract.ts';
import { postgresPlace } from './ledger-places.ts';
import { manyOnPostgres } from './many-places.ts';
import { GROUPS, manyRunsContract } from './run-summary-many.contract.ts';
import { summaryContract } from './run-summary.contract.ts';

describeWithPostgres('with a server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(() => server.stop());

  countsContract('PostgreSQL', () => postgresPlace(server));
  summaryContract('PostgreSQL', () => postgresPlace(server));
  // That few runs are counted exactly in every way is what the summaries above are held to.
  manyRunsContract('PostgreSQL', () => manyOnPostgres(server), GROUPS.slice(0, 1));
});
