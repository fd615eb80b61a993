import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Intent } from '../../src/runs/run-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { askChild } from './ask-child.ts';
import { outboxContract } from './outbox.contract.ts';
import { repeatedWritesContract } from './repeated-writes.contract.ts';
import { ledgerContract, type LedgerKind } from './run-ledger.contract.ts';
import { mirrorContract } from './mirror.contract.ts';
import { scopeContract, searchContract } from './run-search.contract.ts';
import { trailContract } from './trail.contract.ts';

const ADAPTER = new URL('../../src/adapters/postgres/index.ts', import.meta.url).pathname;
const CHILD = new URL('./ledger-child-postgres.mjs', import.meta.url).pathname;

describeWithPostgres('PostgreSQL', () => {
  let server: PostgresServer;
  let folder: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    [server, folder] = await Promise.all([usePostgres(), tempFolder('adapter')]);
    await build({
      entryPoints: [ADAPTER],
      outfile: join(folder.path, 'adapter.mjs'),
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['pg-native'],
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    });
  }); // prettier-ignore
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });

  const postgres: LedgerKind = {
    name: 'PostgreSQL',
    async place() {
      const { url, remove } = await server.place();
      return { at: url, remove };
    },
    connect: (url) => createPostgresLedger({ url, log: () => undefined }),
    async request(url, intent) {
      const { answer, kill } = await askChild<Intent>([CHILD, join(folder.path, 'adapter.mjs'), url], intent);
      return { intent: answer, kill };
    },
  }; // prettier-ignore

  ledgerContract(postgres);
  repeatedWritesContract(postgres);
  outboxContract(postgres);
  searchContract(postgres);
  scopeContract(postgres);
  trailContract(postgres);
  mirrorContract(postgres);
});
