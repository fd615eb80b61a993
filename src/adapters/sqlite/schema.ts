import { randomUUID } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { HOUSE_EVENT_KINDS } from '../../ledger/house-events.ts';
import { OUTBOX } from './outbox-table.ts';
import { QUOTA_TABLE } from './quota-table.ts';
import { MIRROR_TABLES } from './schema-mirror.ts';
import { QUESTION_TABLES } from './schema-questions.ts';
import { WEBHOOK_TABLE } from './webhook-table.ts';
import { WRITES_TABLE } from './writes-table.ts';
import { TRAIL_TABLES } from './schema-trail.ts';

/** Grows with each additive change; an older binary that finds a newer one reads and refuses to launch. */
export const SCHEMA_VERSION = 1;

// Events are the truth; every other table is a projection or working state that may be rebuilt or lost.
const TABLES = `
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  run_id TEXT NOT NULL,
  facts TEXT NOT NULL,
  commitments TEXT NOT NULL,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL
);
CREATE INDEX events_by_run ON events (run_id, seq);
CREATE TRIGGER events_never_change BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_never_leave BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_never_give_way BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE seq = NEW.seq)
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TABLE event_private (
  seq INTEGER NOT NULL,
  name TEXT NOT NULL,
  salt BLOB NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (seq, name)
) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE runs (
  -- Stays the same for the life of a run; narrow_runs has it too.
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  organization TEXT,
  workspace TEXT NOT NULL,
  environment TEXT,
  block TEXT,
  block_version TEXT,
  app_version TEXT,
  block_from TEXT,
  action TEXT,
  status TEXT NOT NULL,
  status_reason TEXT,
  exit_code INTEGER,
  launched INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  duration_ms INTEGER,
  host TEXT,
  client TEXT,
  source TEXT NOT NULL,
  reason TEXT,
  retrigger_of TEXT,
  record TEXT NOT NULL
);
CREATE INDEX runs_retriggered ON runs (retrigger_of) WHERE retrigger_of IS NOT NULL;
CREATE INDEX runs_open ON runs (workspace, block) WHERE status IN ('pending', 'running');
CREATE TABLE run_people (name TEXT NOT NULL, run_id TEXT NOT NULL, role TEXT NOT NULL,
  PRIMARY KEY (name, run_id, role)) WITHOUT ROWID;
CREATE INDEX run_people_by_run ON run_people (run_id);
CREATE TABLE run_aliases (alias TEXT NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (alias, run_id)) WITHOUT ROWID;
CREATE INDEX run_aliases_by_run ON run_aliases (run_id);

CREATE TABLE leases (
  run_id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  fence INTEGER NOT NULL,
  executor TEXT NOT NULL,
  phase TEXT NOT NULL,
  ref TEXT,
  expires_at INTEGER NOT NULL,
  timeout_ms INTEGER,
  cancel_requested INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE requests (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  arguments_digest TEXT NOT NULL,
  run_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  valid_ms INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX requests_by_run ON requests (run_id);
CREATE TABLE burnt (nonce TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;
`;

// Runs without an idempotency key whose caller does not know their id yet; `teller` is empty if it is gone.
const UNTOLD = `
CREATE TABLE untold (run_id TEXT PRIMARY KEY, call TEXT NOT NULL, teller TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
`;

// Events about the ledger itself, which are few, are found without a walk over those about calls.
const UPKEEP = `
CREATE INDEX events_of_upkeep ON events (kind, seq) WHERE kind IN ('person_erased', 'ledger_pruned');
-- What pruned runs were summed up to; the newest ledger_pruned has the digest.
CREATE TABLE rollups (
  day TEXT NOT NULL, kind TEXT NOT NULL, organization TEXT, workspace TEXT NOT NULL, environment TEXT, block TEXT,
  block_version TEXT, action TEXT, status TEXT NOT NULL,
  runs INTEGER NOT NULL, launched INTEGER NOT NULL, duration_ms INTEGER NOT NULL
);
`;

// Events about who may use the server are few, and read whole.
const HOUSE_INDEX = `CREATE INDEX events_of_the_house ON events (seq) WHERE kind IN (${HOUSE_EVENT_KINDS.map((kind) => `'${kind}'`).join(', ')});`;

const TRIGGERS = ['events_never_change', 'events_never_leave', 'events_never_give_way'];

/** The triggers that refuse changes of events and are not there. */
export function missingTriggers(db: Database): string[] {
  const there = db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").pluck().all();
  return TRIGGERS.filter((name) => !there.includes(name));
}

/** Does what a trigger refuses, inside the caller's transaction: no other connection ever sees it without. */
export function suspended(db: Database, trigger: string, use: () => void): void {
  const sql = db
    .prepare("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?")
    .pluck()
    .get(trigger);
  db.exec(`DROP TRIGGER ${trigger}`);
  use();
  db.exec(sql as string);
}

/** Answers the schema version that the file has now; creates the tables in a new file. */
export function migrate(db: Database): number {
  const version = (): number => db.pragma('user_version', { simple: true }) as number;
  if (version() === 0) {
    // Several servers may start on a new file at once: the second finds the work done.
    const create = db.transaction(() => {
      if (version() !== 0) return;
      db.exec(
        [
          ...[
            TABLES,
            QUESTION_TABLES,
            TRAIL_TABLES,
            UNTOLD,
            OUTBOX,
            QUOTA_TABLE,
            WEBHOOK_TABLE,
            WRITES_TABLE,
          ],
          ...[UPKEEP, HOUSE_INDEX, MIRROR_TABLES],
        ].join(''),
      );
      db.prepare("INSERT INTO meta (name, value) VALUES ('ledger', ?)").run(randomUUID());
      db.pragma(`user_version = ${SCHEMA_VERSION}`);
    });
    create.immediate();
  }
  return version();
}
