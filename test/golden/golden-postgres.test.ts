import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { goldenQuestions } from './golden.ts';

describeWithPostgres('with a server', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(() => server.stop());

  goldenQuestions('PostgreSQL', async () => {
    const [place, home] = [await server.place(), await tempFolder('golden-postgres')];
    return {
      home: home.path,
      env: { POLYCRATE_MCP_DATABASE_URL: place.url },
      open: () => createPostgresLedger({ url: place.url, log: () => undefined }),
      async remove() {
        await place.remove();
        await home.remove();
      },
    };
  });
});
