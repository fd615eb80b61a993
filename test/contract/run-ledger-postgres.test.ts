import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Intent } from '../../src/runs/run-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { ledgerContract, type LedgerKind } from './run-ledger.contract.ts';
import { searchContract } from './run-search.contract.ts';
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
      const child = spawn(process.execPath, [CHILD, join(folder.path, 'adapter.mjs'), url], { stdio: ['pipe', 'pipe', 'inherit'] });
      const exited = once(child, 'exit');
      const line = once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>;
      child.stdin.write(`${JSON.stringify(intent)}\n`);
      const answer = JSON.parse((await line)[0]) as Intent;
      return {
        intent: answer,
        async kill() {
          child.kill('SIGKILL');
          await exited;
        },
      };
    },
  }; // prettier-ignore

  ledgerContract(postgres);
  searchContract(postgres);
  trailContract(postgres);
});
