/** Runs that others executed: what each source says of each, and where each sync stands. */
export const MIRROR_TABLES = `
CREATE TABLE mirrored (
  seq INTEGER NOT NULL,
  position INTEGER NOT NULL,
  source TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  foreign_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  was TEXT,
  duplicate_of TEXT,
  current INTEGER NOT NULL,
  facts TEXT NOT NULL,
  commitments TEXT NOT NULL,
  private TEXT NOT NULL,
  PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE INDEX mirrored_by_id ON mirrored (source, endpoint, foreign_id, seq, position);
CREATE UNIQUE INDEX mirrored_current ON mirrored (source, endpoint, foreign_id) WHERE current = 1;
CREATE INDEX mirrored_by_run ON mirrored (run_id, seq, position);
CREATE INDEX mirrored_duplicates ON mirrored (run_id) WHERE duplicate_of IS NOT NULL AND current = 1;
-- Working state: losing it costs a sync from the beginning, and no history.
CREATE TABLE syncs (
  source TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  position TEXT NOT NULL,
  runs INTEGER NOT NULL,
  oldest INTEGER,
  newest INTEGER,
  success_at INTEGER,
  problem TEXT,
  missing TEXT,
  PRIMARY KEY (source, endpoint)
) WITHOUT ROWID;
`;
