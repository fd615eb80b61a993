import { SLOT_INDEX } from '../sql/cubes.ts';
import { LOOSE_INDEX } from '../sql/going.ts';
import { SPAN_INDEXES } from '../sql/spans.ts';

/** What questions about many runs read instead of the records: runs in numbers, what the numbers mean, and counts. */
export const QUESTION_TABLES = `
CREATE TABLE terms (
  -- Never given twice: what another process remembers of a number stays true.
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  UNIQUE (kind, value)
);
CREATE TABLE narrow_runs (
  start INTEGER NOT NULL,
  n INTEGER NOT NULL,
  organization INTEGER NOT NULL,
  place INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  block INTEGER NOT NULL,
  release INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  action INTEGER NOT NULL,
  crew INTEGER NOT NULL,
  host INTEGER NOT NULL,
  client INTEGER NOT NULL,
  source INTEGER NOT NULL,
  said INTEGER NOT NULL,
  unit INTEGER NOT NULL,
  exit_code INTEGER,
  state INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  finished_at INTEGER,
  duration_ms INTEGER,
  PRIMARY KEY (start, n)
) WITHOUT ROWID;
-- When each version ran where, without looking at the runs between.
CREATE INDEX narrow_runs_by_unit ON narrow_runs (unit, state, start, action, duration_ms);
-- Runs whose duration does not bound when they ended.
${LOOSE_INDEX}
-- When the first and the last run of each unit began, and of those that succeeded; action 0: of all actions.
CREATE TABLE unit_spans (
  action INTEGER NOT NULL,
  place INTEGER NOT NULL,
  block INTEGER NOT NULL,
  release INTEGER NOT NULL,
  unit INTEGER NOT NULL,
  organization INTEGER NOT NULL,
  environment INTEGER NOT NULL,
  origin INTEGER NOT NULL,
  first_run INTEGER NOT NULL,
  last_run INTEGER NOT NULL,
  first_success INTEGER,
  last_success INTEGER,
  PRIMARY KEY (action, place, block, release, unit)
) WITHOUT ROWID;
${SPAN_INDEXES}
CREATE TABLE run_counts (
  cube INTEGER NOT NULL,
  a INTEGER NOT NULL,
  b INTEGER NOT NULL,
  c INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  state INTEGER NOT NULL,
  runs INTEGER NOT NULL,
  PRIMARY KEY (cube, a, b, c, slot, state)
) WITHOUT ROWID;
-- All durations of a few slots, without a look for each of them.
${SLOT_INDEX}
`;
