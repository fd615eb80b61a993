import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../support/engine.ts';
import { describeWithOwnPostgres, ownPostgres, type OwnPostgresServer } from '../support/postgres.ts';
import { soak, tableOf, violations } from '../soak/matrix.ts';
import { DATABASES, EXECUTORS } from '../soak/place.ts';

// `npm run soak` runs the same with a thousand kills.
const KILLS = Number(process.env['SOAK_KILLS'] ?? 25);
const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);
const LANES = Number(process.env['SOAK_LANES'] ?? 1);
const ONLY = process.env['SOAK_ONLY'] ?? '';
const PER_KILL_MS = 10_000;

const cells = DATABASES.flatMap((database) => EXECUTORS.map((executor) => ({ database, executor }))).filter(
  ({ database, executor }) => `${database}-${executor}`.includes(ONLY),
);

describeWithOwnPostgres('kill -9 again and again', () => {
  describeWithEngine('of servers and supervisors', () => {
    let postgres: OwnPostgresServer;
    beforeAll(async () => {
      postgres = await ownPostgres();
    });
    afterAll(() => postgres.stop());

    it(
      `leaves every promise kept: ${KILLS} kills, seed ${SEED}`,
      async () => {
        const reports = await soak({ cells, kills: KILLS, seed: SEED, lanes: LANES }, postgres);
        process.stdout.write(`\nseed ${SEED}\n${tableOf(reports)}\n`);
        expect(violations(reports)).toEqual([]);
      },
      60_000 + KILLS * PER_KILL_MS,
    );
  });
});
