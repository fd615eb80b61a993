import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithOwnPostgres, ownPostgres, type OwnPostgresServer } from '../support/postgres.ts';
import { erasureContract } from './ledger-erase.contract.ts';

describeWithOwnPostgres('with a server of our own', () => {
  let server: OwnPostgresServer;
  beforeAll(async () => {
    server = await ownPostgres();
  });
  afterAll(() => server.stop());

  erasureContract('PostgreSQL', async () => {
    const [place, home] = [await server.place(), await tempFolder('erase-postgres')];
    const records = createPostgresLedger({ url: place.url, log: () => undefined });
    return {
      records,
      home: home.path,
      // All tables and indexes of the database; its write-ahead log is the operator's.
      async bytes() {
        await server.query('CHECKPOINT');
        const base = join(dirname(server.socket), 'data', 'base');
        const files = readdirSync(base, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
        return Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))));
      },
      async remove() {
        await records.close();
        await place.remove();
        await home.remove();
      },
    };
  });
}); // prettier-ignore
