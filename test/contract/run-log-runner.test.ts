import { createHash } from 'node:crypto';
import { appendFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { headFile } from '../../src/adapters/log-files/files.ts';
import { createLogFiles } from '../../src/adapters/log-files/index.ts';
import { createLogPieces } from '../../src/adapters/log-files/pieces.ts';
import type { RunnerLedger } from '../../src/adapters/runner-ledger/index.ts';
import { intentFor } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { ANYTHING, connectRunner, startRunnerServer, type RunnerServer } from '../support/runner-server.ts';
import { feed, logContract, type LogKind } from './run-log.contract.ts';

const RUNS = ['01a00000-0000-7000-8000-000000000001', '01a00000-0000-7000-8000-000000000002'];
const [RUN] = RUNS as [string];

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: RunnerServer;
const runners = new Map<string, RunnerLedger>();

beforeAll(async () => {
  home = await tempFolder('ledger');
  server = await startRunnerServer({ home: home.path, authority: ANYTHING });
  const { ledger, close } = connectRunner({ url: server.url, home: home.path });
  for (const id of RUNS) await ledger.request(intentFor({ requested_at: Date.UTC(2026, 8, 1), id }));
  await close();
});
afterAll(async () => {
  await server.close();
  await home.remove();
});
afterEach(async () => {
  await Promise.all([...runners.values()].map((runner) => runner.close()));
  runners.clear();
});

const runnerAt = (at: string, maxBytes: number): RunnerLedger => {
  const name = `${at} ${maxBytes}`;
  const runner = runners.get(name) ?? connectRunner({ url: server.url, home: at, maxBytes });
  runners.set(name, runner);
  return runner;
};

/** Written by a runner, in its folder; read where its server is. */
const shipped: LogKind = {
  name: 'the folder of a runner, read at its server',
  imports: false,
  async place() {
    const { path, remove } = await tempFolder('logs');
    return {
      at: path,
      async remove() {
        for (const [name, runner] of runners) if (name.startsWith(`${path} `)) await runner.close();
        await remove();
        for (const id of RUNS) await server.logs.remove(id);
      },
    };
  },
  connect(at, maxBytes) {
    const { logs } = runnerAt(at, maxBytes);
    return {
      ...logs,
      async read(run_id, query) {
        await logs.settle(run_id);
        return await server.logs.read(run_id, query);
      },
      async ids() {
        for (const id of RUNS) await logs.settle(id);
        return await server.logs.ids();
      },
      async remove(run_id) {
        await logs.remove(run_id);
        return await server.logs.remove(run_id);
      },
    };
  },
};

logContract(shipped);

describe('the copy of a log', () => {
  it('has the digest that the runner recorded, and what another one had left is not part of it', async () => {
    const { path, remove } = await tempFolder('logs');
    const other = createLogFiles({ home: home.path, maxBytes: 1 << 20 });
    await feed(other, [['stdout', 'another log\n'.repeat(5_000)]], { run: RUN });
    const { logs, close } = connectRunner({ url: server.url, home: path, maxBytes: 4_000 });
    const long = Array.from({ length: 900 }, (_, n) => `line ${n} €\n`).join('');
    const summary = await feed(logs, [['stdout', long], ['stderr', 'no end']], { run: RUN });
    const bytes: Uint8Array[] = [];
    for await (const chunk of server.logs.bytes(RUN)) bytes.push(chunk);
    expect(createHash('sha256').update(Buffer.concat(bytes)).digest('hex')).toBe(summary!.sha256);
    await close();
    await remove();
  }); // prettier-ignore

  it('has each line once, also where a part of it was sent twice or stored in half', async () => {
    const { path, remove } = await tempFolder('logs');
    const pieces = createLogPieces({ home: path, maxBytes: 1 << 20 });
    const at = (offset: number): { piece: number; offset: number } => ({ piece: 0, offset });
    const [one, two, three] = ['o4\tone\n', 'o4\ttwo\n', 'o6\tthree\n'] as const;
    const content = (): Promise<string> => pieces.read(RUN, at(0), 1_000);
    expect(await Promise.all([pieces.write(RUN, at(0), one), pieces.write(RUN, at(0), one + two)])).toEqual([
      one.length,
      one.length + two.length,
    ]);
    expect(await content()).toBe(one + two);
    // One that was late takes nothing away.
    expect(await pieces.write(RUN, at(0), one)).toBe(one.length);
    expect(await content()).toBe(one + two);
    await appendFile(headFile(path, RUN), three.slice(0, 5));
    expect(await pieces.sizes(RUN)).toEqual([{ piece: 0, bytes: (one + two).length }]);
    await pieces.write(RUN, at((one + two).length), three);
    expect(await content()).toBe(one + two + three);
    await remove();
  });
});
