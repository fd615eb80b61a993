import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import type { PostgresServer } from '../support/postgres.ts';
import type { PruningPlace } from './ledger-prune.contract.ts';

// Ledgers of their own that somebody can tamper with who can write every table.

export async function sqlitePlace(): Promise<PruningPlace> {
  const home = await tempFolder('place');
  const records = openSqlite(home.path);
  return {
    records,
    home: home.path,
    async tamper(sql) {
      const db = new Sqlite(join(home.path, 'ledger.db'));
      const triggers = db
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        .all() as any[];
      for (const { name } of triggers) db.exec(`DROP TRIGGER ${name}`);
      db.exec(sql);
      for (const trigger of triggers) db.exec(trigger.sql);
      db.close();
    },
    async remove() {
      await records.close();
      await home.remove();
    },
  };
}

const TRIGGERS = { events: 'events_never_change', event_private: 'event_private_never_changes' };

export async function postgresPlace(server: PostgresServer): Promise<PruningPlace> {
  const [place, home] = [await server.place(), await tempFolder('place-postgres')];
  const records = createPostgresLedger({ url: place.url, log: () => undefined });
  const each = (change: (table: string, trigger: string) => string): string =>
    Object.entries(TRIGGERS)
      .map(([table, trigger]) => `${change(table, trigger)};`)
      .join('');
  return {
    records,
    home: home.path,
    tamper: async (sql) =>
      void (await server.query(
        `SET search_path = ${place.schema};${each((table) => `ALTER TABLE ${table} DISABLE TRIGGER USER`)}${sql};${each(
          (table, trigger) => `ALTER TABLE ${table} ENABLE ALWAYS TRIGGER ${trigger}`,
        )}RESET search_path`,
      )),
    async remove() {
      await records.close();
      await place.remove();
      await home.remove();
    },
  };
}
