import { afterAll, beforeAll, expect, it } from 'vitest';
import { PROMISES } from '../soak/oracle.ts';
import { openPlace } from '../soak/place.ts';
import { soakReplicas } from '../soak/replicas.ts';
import { describeWithEngine } from '../support/engine.ts';
import { describeWithOwnPostgres, ownPostgres, type OwnPostgresServer } from '../support/postgres.ts';

// `npm run soak:replicas` runs the same for two minutes.
const KILLS = Number(process.env['SOAK_KILLS'] ?? 2);
const EVERY_MS = Number(process.env['SOAK_EVERY_SECONDS'] ?? 4) * 1_000;
const CLIENTS = Number(process.env['SOAK_CLIENTS'] ?? 3);
const SEED = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);

describeWithOwnPostgres('two replicas on PostgreSQL', () => {
  describeWithEngine('with containers', () => {
    let postgres: OwnPostgresServer;
    beforeAll(async () => {
      postgres = await ownPostgres();
    });
    afterAll(() => postgres.stop());

    it(
      `of which one is killed again and again lose no run and no answer: ${KILLS} kills, seed ${SEED}`,
      async () => {
        const place = await openPlace({ database: 'postgres', executor: 'docker' }, postgres);
        const plan = { clients: CLIENTS, kills: KILLS, every_ms: EVERY_MS, seed: SEED };
        const { book, verdict, unanswered, reconnects } = await soakReplicas(place, plan);
        process.stdout.write(
          `\nseed ${SEED}: ${KILLS} kills, ${book.asks.length} wishes, ${reconnects} reconnects, ${verdict.runs} runs, ${verdict.executed} executed\n`,
        );
        expect(unanswered).toEqual([]);
        for (const promise of PROMISES) expect(verdict[promise], promise).toEqual([]);
        expect(verdict.runs).toBeGreaterThan(0);
        await place.remove();
      },
      200_000 + KILLS * (EVERY_MS + 10_000),
    );
  });
});
