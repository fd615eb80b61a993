import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Records } from '../../src/history/records.ts';
import { storeRun } from '../support/fill-ledger.ts';
import { connect, type Connection } from '../support/mcp.ts';
import { PEOPLE, tellHistory, ZONE } from './history.ts';
import { createOracle } from './oracle.ts';
import { QUESTIONS, REFUSALS, type Story } from './questions.ts';

/** A ledger that nobody has filled yet. */
export interface GoldenPlace {
  home: string;
  env: Record<string, string>;
  open(): Records;
  remove(): Promise<void>;
}

const SEED = 42;
/** An afternoon in the middle of a week: what words like yesterday mean does not depend on when the test runs. */
const NOW = Date.UTC(2026, 10, 18, 14, 37);
const CLOCK = new URL('../support/at-time.mjs', import.meta.url).href;
const BY = { principal: { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } };

/** A real server with four months of history, asked by a real client what an oracle knows. */
export function goldenQuestions(name: string, make: () => Promise<GoldenPlace>): void {
  describe(`golden questions on ${name}`, () => {
    let place: GoldenPlace;
    let server: Connection;
    let story: Story;
    beforeAll(async () => {
      place = await make();
      const history = tellHistory({ seed: SEED, now: NOW });
      story = { history, now: NOW, oracle: createOracle(history) };
      await fill(place.open(), story);
      const clock = { NODE_OPTIONS: `--import ${CLOCK}`, TEST_NOW: String(NOW) };
      server = await connect({
        home: place.home,
        env: { ...place.env, ...clock, POLYCRATE_MCP_TIMEZONE: ZONE },
      });
    }, 120_000);
    afterAll(async () => {
      await server?.close();
      await place?.remove();
    });

    it.each(QUESTIONS)('$ask', async ({ tool, args, told, right }) => {
      const { data, error, characters } = await server.call(tool, args(story));
      expect(error).toBeNull();
      expect(told(data)).toEqual(right(story));
      expect(characters / 4).toBeLessThan(20_000);
    });

    it.each(REFUSALS)('refuses: $ask', async ({ tool, args, code, valid }) => {
      const { error } = await server.call(tool, args(story));
      expect(error?.code).toBe(code);
      expect(error?.next).toBeTruthy();
      if (valid !== undefined) expect(error!.valid).toContain(valid);
    });
  });
}

export async function fill(records: Records, { history, now }: Story): Promise<void> {
  try {
    for (const run of history.runs) await storeRun(records, run);
    for (const subject of [PEOPLE.ola.display, PEOPLE.ola.os_user]) {
      await records.upkeep.erase({ subject, logs: false, at: now, by: BY });
    }
  } finally {
    await records.close();
  }
}
