import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { openLedger } from '../../src/adapters/sqlite/open.ts';
import { createSyncHistory } from '../../src/adapters/sqlite/search.ts';
import { COUNTED_UNTIL } from '../../src/adapters/sql/cubes.ts';
import { TERM_COLUMNS } from '../../src/adapters/sql/narrow.ts';
import { tempFolder } from '../support/mcp.ts';
import type { PostgresServer } from '../support/postgres.ts';
import type { ManyPlace } from './run-summary-many.contract.ts';

// Tables that questions read, filled without the runs and events that they are made from.

export async function manyOnSqlite(): Promise<ManyPlace> {
  const home = await tempFolder('many');
  const { db } = openLedger(home.path);
  const sync = createSyncHistory(db);
  return {
    history: {
      summarize: async (query) => sync.summarize(query, null),
      extent: async () => sync.extent(null),
    },
    fill: async ({ actions, rows, counted_until, counts }) =>
      db.transaction(() => {
        const term = db.prepare("INSERT INTO terms (kind, value) VALUES ('action', ?)");
        for (const action of actions) term.run(action);
        const none = TERM_COLUMNS.filter((column) => column !== 'action');
        const insert = db.prepare(
          `INSERT INTO narrow_runs (start, n, action, state, bucket, requested_at, finished_at, duration_ms, ${none.join(', ')})
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ${none.map(() => 0).join(', ')})`,
        );
        for (const { start, n, action, state, bucket, duration } of rows) {
          insert.run(start, n, action, state, bucket, start, start + duration, duration);
        }
        for (const statement of counts) db.exec(statement);
        db.prepare('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)').run(COUNTED_UNTIL, String(counted_until));
      })(),
    async remove() {
      db.close();
      await home.remove();
    },
  };
} // prettier-ignore

export async function manyOnPostgres(server: PostgresServer): Promise<ManyPlace> {
  const place = await server.place();
  const records = createPostgresLedger({ url: place.url, log: () => undefined });
  await records.history.extent();
  return {
    history: records.history,
    async fill({ actions, rows, counted_until, counts }) {
      const columns = ['start', 'n', 'action', 'state', 'bucket', 'duration'] as const;
      await server.query(
        `INSERT INTO ${place.schema}.narrow_runs (start, n, action, state, bucket, requested_at, finished_at, duration_ms)
         SELECT start, n, action, state, bucket, start, start + duration, duration
         FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::int[], $5::int[], $6::bigint[]) AS x(${columns.join(', ')})`,
        columns.map((column) => rows.map((row) => row[column])),
      );
      const terms = actions.map((action) => `('action', '${action}')`);
      await server.query(
        [
          `BEGIN; SET LOCAL search_path = ${place.schema}`,
          `INSERT INTO terms (kind, value) VALUES ${terms.join(', ')}`,
          ...counts,
          `INSERT INTO meta (name, value) VALUES ('${COUNTED_UNTIL}', '${counted_until}') ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value`,
          'COMMIT',
          `ANALYZE ${place.schema}.narrow_runs, ${place.schema}.run_counts`,
        ].join(';'),
      );
    },
    async remove() {
      await records.close();
      await place.remove();
    },
  };
}
