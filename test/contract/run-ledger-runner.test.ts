import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import type { Intent } from '../../src/runs/run-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { ANYTHING, connectRunner, startRunnerServer } from '../support/runner-server.ts';
import { askChild } from './ask-child.ts';
import { repeatedWritesContract } from './repeated-writes.contract.ts';
import { ledgerContract, type LedgerKind } from './run-ledger.contract.ts';

const ADAPTER = new URL('../../src/adapters/runner-ledger/index.ts', import.meta.url).pathname;
const CHILD = new URL('./ledger-child-runner.mjs', import.meta.url).pathname;

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  folder = await tempFolder('adapter');
  const bundle = { outfile: join(folder.path, 'adapter.mjs'), bundle: true, format: 'esm', platform: 'node' } as const;
  await build({ entryPoints: [ADAPTER], ...bundle });
}); // prettier-ignore
afterAll(() => folder.remove());

/** What a runner has of a ledger: that of its server. */
const runner: LedgerKind = {
  name: 'a server over HTTP',
  async place() {
    const home = await tempFolder('ledger');
    const server = await startRunnerServer({ home: home.path, authority: ANYTHING });
    return {
      at: server.url,
      async remove() {
        await server.close();
        await home.remove();
      },
    };
  },
  connect: (url) => connectRunner({ url, home: folder.path }) as unknown as Records,
  async request(url, intent) {
    const { answer, kill } = await askChild<Intent>([CHILD, join(folder.path, 'adapter.mjs'), url], intent);
    return { intent: answer, kill };
  },
}; // prettier-ignore

ledgerContract(runner);
repeatedWritesContract(runner);
