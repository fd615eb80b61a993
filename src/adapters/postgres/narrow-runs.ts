import { countStatements, DROP_EMPTY } from '../sql/cubes.ts';
import { spanStatements } from '../sql/spans.ts';
import { TERM_COLUMNS } from '../sql/narrow.ts';
import type { Query } from './database.ts';

/** Takes the runs of the first events out of the counts and the narrow rows, and what only they had. */
export async function removeNarrow(query: Query, size: number): Promise<void> {
  await query('CREATE TEMPORARY TABLE doomed (start bigint NOT NULL, n bigint NOT NULL) ON COMMIT DROP');
  await query(
    `INSERT INTO pg_temp.doomed SELECT coalesce(started_at, requested_at), n FROM runs
     WHERE id IN (SELECT run_id FROM events WHERE seq <= $1)`,
    [size],
  );
  await query('ANALYZE pg_temp.doomed');
  const source = `pg_temp.doomed d JOIN narrow_runs c ON c.start = d.start AND c.n = d.n
    WHERE c.start >= 0 AND c.start < ledger_counted_until()`;
  for (const statement of countStatements(source, '-')) await query(statement);
  await query(DROP_EMPTY);
  await query(
    `CREATE TEMPORARY TABLE doomed_units ON COMMIT DROP AS
     SELECT DISTINCT c.unit FROM pg_temp.doomed d JOIN narrow_runs c ON c.start = d.start AND c.n = d.n`,
  );
  await query('DELETE FROM narrow_runs c USING pg_temp.doomed d WHERE c.start = d.start AND c.n = d.n');
  await query('DELETE FROM unit_spans WHERE unit IN (SELECT unit FROM pg_temp.doomed_units)');
  const left = spanStatements('pg_temp.doomed_units d JOIN narrow_runs c ON c.unit = d.unit');
  for (const statement of left) await query(statement);
  await forgetTerms(query);
}

/** What no run has any more: what a person was called may not stay here. */
export async function forgetTerms(query: Query): Promise<void> {
  for (const column of TERM_COLUMNS) {
    await query(
      `DELETE FROM terms t WHERE kind = $1 AND NOT EXISTS (SELECT FROM narrow_runs c WHERE c.${column} = t.id)`,
      [column],
    );
  }
}
