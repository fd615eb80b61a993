import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { createSqliteLedger } from '../../src/adapters/sqlite/index.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';

/** A thread that tells that it was started, and answers every call. */
const TELLING = `
  import { appendFileSync } from 'node:fs';
  import { parentPort, workerData } from 'node:worker_threads';
  appendFileSync(workerData.home, 'started\\n');
  parentPort.on('message', ({ id }) => parentPort.postMessage({ id }));
`;

describe('a ledger that is made ready for questions', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  beforeEach(async () => {
    home = await tempFolder('prepare');
  });
  afterEach(() => home.remove());

  it('has started the threads of a first question: its own, that of short looks and that of its record', async () => {
    const told = join(home.path, 'told');
    const ledger = createSqliteLedger({
      home: told,
      worker: new URL(`data:text/javascript,${encodeURIComponent(TELLING)}`),
    });
    await ledger.prepare();
    await ledger.close();
    expect(readFileSync(told, 'utf8')).toBe('started\n'.repeat(3));
  });

  it('left nothing behind if nobody asked', async () => {
    const data = join(home.path, 'data');
    const ledger = openSqlite(data);
    await ledger.prepare();
    await ledger.close();
    expect(existsSync(data)).toBe(false);
  });

  it('connected to no database', async () => {
    const ledger = createPostgresLedger({ url: 'postgres://nobody@127.0.0.1:1/none', log: () => undefined });
    await expect(ledger.prepare()).resolves.toBeUndefined();
    await ledger.close();
  });
});
