import type { Database, Statement } from 'better-sqlite3';

/** Prepares a statement, or answers the one that was prepared from the same text before. */
export type Statements = (sql: string) => Statement;

/** Questions have few shapes; a ledger that is asked more of them starts again with none. */
const MOST = 200;

export function createStatements(db: Database): Statements {
  const prepared = new Map<string, Statement>();
  return (sql) => {
    let statement = prepared.get(sql);
    if (!statement) {
      if (prepared.size >= MOST) prepared.clear();
      prepared.set(sql, (statement = db.prepare(sql)));
    }
    return statement;
  };
}
