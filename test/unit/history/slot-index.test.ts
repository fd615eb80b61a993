import Sqlite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { cubesFor, DAY } from '../../../src/adapters/sql/cubes.ts';
import type { Sizes } from '../../../src/adapters/sql/sizes.ts';
import { fromSlots } from '../../../src/adapters/sql/slot-sizes.ts';
import type { Grouping } from '../../../src/adapters/sql/summarize.ts';
import { QUESTION_TABLES } from '../../../src/adapters/sqlite/schema-questions.ts';

const where = {
  possible: true,
  columns: new Map(),
  states: [0, 1, 2],
  clauses: [],
  span: { since: null, until: null },
};
const grouping = { where, query: { group_by: [] }, slices: [], labels: new Map() } as unknown as Grouping;
const known = { cubes: [], counted: 1_000 * DAY, oldest: 0, newest: 1_000 * DAY };
const sizes: Sizes = { add: () => undefined, tell: () => undefined };

// SQLite uses a partial index only for a condition that is spelled as the index's own.
it.each([
  ['one slice', [{ since: 10, until: 12, of: [[0, 1]] }]],
  ['a row of slices', [{ since: 10, until: 11, of: [[0, 1]] }, { since: 11, until: 12, of: [[1, 1]] }]],
  ['slices apart', [{ since: 10, until: 11, of: [[0, 1]] }, { since: 90, until: 91, of: [[1, 1]] }]],
] as const)('durations of days of %s are read by slot', (_, stretches) => {
  const db = new Sqlite(':memory:');
  db.exec(QUESTION_TABLES);
  const cube = cubesFor(['bucket']).at(-1)!;
  expect(cube.slot_ms).toBe(DAY);
  const { value } = fromSlots({ cube, stretches }, { grouping, known, sizes }).next() as { value: { text: string } };
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${value.text}`).all() as { detail: string }[];
  db.close();
  const searches = plan.filter(({ detail }) => detail.startsWith('SEARCH'));
  expect(searches.length).toBeGreaterThan(0);
  for (const { detail } of searches) expect(detail).toContain('COVERING INDEX run_counts_by_slot (cube=? AND slot');
}); // prettier-ignore
