import { createRequire } from 'node:module';
import type * as BetterSqlite3 from 'better-sqlite3';

/** The native driver, loaded when first needed. */
export function loadDriver(): typeof BetterSqlite3.default {
  return createRequire(import.meta.url)('better-sqlite3') as typeof BetterSqlite3.default;
}

/** Loads the driver and asks SQLite for its version, in memory. Throws what Node throws where it cannot be loaded. */
export function sqliteVersion(): string {
  const db = new (loadDriver())(':memory:');
  try {
    return db.prepare('SELECT sqlite_version()').pluck().get() as string;
  } finally {
    db.close();
  }
}
