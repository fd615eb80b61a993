import pg from 'pg';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { verifyInOrder } from '../../src/adapters/postgres/check.ts';
import { verifyInPieces } from '../../src/adapters/postgres/quick-check.ts';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import type { Records } from '../../src/history/records.ts';
import type { VerifyReport, VerifyTask } from '../../src/ledger/verify.ts';
import { tempFolder } from '../support/mcp.ts';
import { usePostgres, type Place, type PostgresServer } from '../support/postgres.ts';

// The database's administrator at work: triggers go, rows change, triggers come back.

export const WHOLE: VerifyTask = { from: null, known: [] };
const TABLES = ['events', 'event_private'];
const INT8 = 20;
/** Each change is a whole verification; a test that is broken off leaves its transaction to the next. */
const MANY_CHANGES_MS = 240_000;

export interface Stored {
  server: PostgresServer;
  place: Place;
  records: Records;
  administrator: pg.Client;
  runs: string[];
  size: number;
}

interface History {
  stored(): Stored;
  /** What is found after a change, which is then taken back. */
  tampered(change: () => Promise<unknown>, task?: VerifyTask): Promise<VerifyReport>;
  /** A change of so many rows; null: of any number. */
  sql(text: string, expected?: number | null): () => Promise<void>;
}

/** One small history for all tests of a suite. `home`: for keys. */
export function useHistory(store: (records: Records, home: string) => Promise<string[]>): History {
  vi.setConfig({ testTimeout: MANY_CHANGES_MS });
  let stored: Stored;
  let home: Awaited<ReturnType<typeof tempFolder>>;
  beforeAll(async () => {
    const server = await usePostgres();
    const place = await server.place();
    home = await tempFolder('mutation-postgres');
    const records = createPostgresLedger({ url: place.url, log: () => undefined });
    const runs = await store(records, home.path);
    const size = (await records.ledger.status()).events;
    const getTypeParser = (oid: number, format: never) => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format));
    const administrator = new pg.Client({ connectionString: place.url, types: { getTypeParser: getTypeParser as never } });
    await administrator.connect();
    // As in the sessions of the product: compiling a statement takes a thousand times as long as answering it.
    await administrator.query('SET jit = off');
    stored = { server, place, records, administrator, runs, size };
  });
  afterAll(async () => {
    await stored.administrator.end();
    await stored.records.close();
    await stored.place.remove();
    await stored.server.stop();
    await home.remove();
  });
  return {
    stored: () => stored,
    async tampered(change, task = WHOLE) {
      const { administrator } = stored;
      await administrator.query('BEGIN');
      try {
        for (const table of TABLES) await administrator.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
        await change();
        for (const name of ['events_never_change ON events', 'event_private_never_changes ON event_private']) {
          const [trigger, , table] = name.split(' ');
          await administrator.query(`ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${trigger}`);
        }
        // The verification's own transaction is this one, which no other connection sees.
        const query = async (text: string, values?: readonly unknown[]) => (await administrator.query(text, values as unknown[])).rows as never;
        const report = await verifyInOrder(query, task, () => undefined);
        if (!task.from) {
          const pieces = await verifyInPieces(query, task, { beside: async () => undefined, onProgress: () => undefined });
          expect(pieces).toEqual(report.findings_total > 0 ? null : report);
        }
        return report;
      } finally {
        await administrator.query('ROLLBACK');
      }
    },
    sql: (text, expected = 1) => async () => {
      const { rowCount } = await stored.administrator.query(text);
      if (expected !== null && rowCount !== expected) throw new Error(`${rowCount} rows: ${text}`);
    },
  };
} // prettier-ignore
