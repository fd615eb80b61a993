import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/adapters/host/host.ts';
import { startContractServer, type ContractServer } from '../contract-server/start.ts';
import {
  badNetwork,
  BLOCK_NAMES,
  delivered,
  differences,
  endRun,
  openOffice,
  requestRun,
  startRun,
  type Office,
  type Told,
} from '../soak/submissions.ts';
import { tempFolder } from '../support/mcp.ts';

// `npm run soak:api` runs the same with 5,000 runs and 10,000 submissions.
const OUTAGE_RUNS = Number(process.env['SOAK_OUTAGE_RUNS'] ?? 150);
const PROXY_RUNS = Number(process.env['SOAK_PROXY_RUNS'] ?? 200);
const SEED = Number(process.env['SOAK_SEED'] ?? 4711);
const PATIENCE_MS = 30_000 + 150 * Math.max(OUTAGE_RUNS, PROXY_RUNS);

describe('reports to the Polycrate API', () => {
  let home: Awaited<ReturnType<typeof tempFolder>>;
  let server: ContractServer;
  let office: Office;
  beforeEach(async () => {
    [home, server] = await Promise.all([tempFolder('outbox'), startContractServer()]);
    await server.seed('acme', { shop: BLOCK_NAMES });
    office = openOffice(home.path, server);
  });
  afterEach(async () => {
    await office.close();
    await server.stop();
    await home.remove();
  });

  it(`of ${OUTAGE_RUNS} runs of three days without the API come later, each once, with its result`, async () => {
    await server.crash();
    office.submitter.run();
    const told: Told[] = [];
    const three_days = 3 * 24 * 3_600_000;
    const begin = Date.now() - three_days;
    for (let n = 0; n < OUTAGE_RUNS; n++) {
      const run = await requestRun(office, n, begin + Math.floor((n * three_days) / OUTAGE_RUNS));
      if (n % 2 === 0) await startRun(office, run);
      await endRun(office, run);
      told.push(run);
      if (n % Math.ceil(OUTAGE_RUNS / 5) === 1) {
        await office.restart();
        office.submitter.run();
      }
    }
    const { waiting, endpoints } = await office.submitter.standing();
    expect(waiting).toBe(OUTAGE_RUNS);
    expect(endpoints[0]!.problem).toContain('nothing listens there');
    await server.start();
    await office.restart();
    office.submitter.run();
    await delivered(office, PATIENCE_MS);
    expect(await differences(server, office, told)).toEqual([]);
    expect(await server.violations()).toEqual([]);
  }, PATIENCE_MS + 60_000); // prettier-ignore

  it(`of ${PROXY_RUNS} runs over a network that drops, delays, doubles and cuts (seed ${SEED})`, async () => {
    await server.faults(badNetwork(0.03), SEED);
    office.submitter.run();
    const told: Told[] = [];
    const open: Told[] = [];
    const started = Date.now();
    for (let n = 0; n < PROXY_RUNS; n++) {
      const run = await requestRun(office, n, started + n * 10);
      told.push(run);
      // Some start and end at once, some stay open until others have come.
      if (n % 3 > 0) await startRun(office, run);
      office.submitter.nudge();
      open.push(run);
      while (open.length > (n % 7) * 4) await endRun(office, open.shift()!);
      if (n % Math.ceil(PROXY_RUNS / 4) === 7) {
        await office.restart();
        office.submitter.run();
      }
      if (n % 5 === 0) await systemClock.sleep(5);
    }
    for (const run of open) await endRun(office, run);
    await delivered(office, PATIENCE_MS);
    expect(await differences(server, office, told)).toEqual([]);
    expect(await server.violations()).toEqual([]);
    expect((await office.records.check.verify({ from: null, known: [] })).findings).toEqual([]);
  }, PATIENCE_MS + 60_000); // prettier-ignore
});
