/** The assistant's own trail, one row for each call: a projection of the events of kind `calls_recorded`. */
export const TRAIL_TABLES = `
CREATE TABLE calls (
  seq INTEGER NOT NULL,
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  tool TEXT NOT NULL,
  outcome TEXT NOT NULL,
  code TEXT,
  duration_ms INTEGER NOT NULL,
  run_id TEXT,
  subject TEXT,
  display TEXT,
  principal TEXT,
  client TEXT,
  arguments TEXT,
  PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE INDEX calls_for_questions ON calls (at, id, tool, outcome, subject, display);
-- Batches of calls are many, and no news about runs.
CREATE INDEX events_of_runs ON events (seq) WHERE run_id <> '';
`;
