import { QUESTION_TABLES } from './migration-1-questions.ts';

// The first schema, as it was released: what was once applied is never edited, later versions get a file each.

/** Events are the truth; every other table is a projection or working state that may be rebuilt or lost. */
const EVENTS = `
CREATE TABLE events (
  seq bigint PRIMARY KEY,
  at bigint NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind ~ '^[a-z_]+$'),
  run_id text COLLATE "C" NOT NULL CHECK (run_id ~ '^[0-9a-f-]*$'),
  facts text NOT NULL,
  commitments text NOT NULL,
  prev text NOT NULL,
  hash text NOT NULL,
  -- Minted for each call: a call whose answer was lost is found by it. Not part of the hashed bytes.
  token uuid NOT NULL UNIQUE
);
CREATE INDEX events_by_run ON events (run_id, seq);
CREATE TABLE event_private (
  seq bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  salt bytea NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (seq, name)
);

CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Pruning says so in its transaction; who may delete rows is a matter of rights.
  IF TG_OP = 'DELETE' AND current_setting('polycrate_mcp.pruning', true) = 'yes' THEN RETURN NULL; END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
ALTER TABLE events ENABLE ALWAYS TRIGGER events_never_change;
-- Rows may leave, which is what erasing a person means; only the owner of the table has that right.
CREATE TRIGGER event_private_never_changes BEFORE UPDATE OR TRUNCATE ON event_private
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
ALTER TABLE event_private ENABLE ALWAYS TRIGGER event_private_never_changes;
`;

/** Text sorts by its bytes, as in SQLite, whatever the locale of the database. */
const RUNS = `
CREATE SEQUENCE run_numbers;
CREATE TABLE runs (
  id text COLLATE "C" PRIMARY KEY,
  -- Stays the same for the life of a run; narrow_runs has it too.
  n bigint NOT NULL UNIQUE,
  kind text COLLATE "C" NOT NULL,
  organization text COLLATE "C",
  workspace text COLLATE "C" NOT NULL,
  environment text COLLATE "C",
  block text COLLATE "C",
  block_version text COLLATE "C",
  app_version text COLLATE "C",
  block_from text COLLATE "C",
  action text COLLATE "C",
  status text COLLATE "C" NOT NULL,
  exit_code integer,
  launched boolean NOT NULL,
  requested_at bigint NOT NULL,
  started_at bigint,
  finished_at bigint,
  duration_ms bigint,
  host text COLLATE "C",
  client text COLLATE "C",
  source text COLLATE "C" NOT NULL,
  retrigger_of text COLLATE "C",
  -- The record as JSON; not jsonb, which cannot hold every text that JSON can.
  record text NOT NULL,
  -- seq of the newest event in the record.
  version bigint NOT NULL
);
CREATE INDEX runs_retriggered ON runs (retrigger_of, id) WHERE retrigger_of IS NOT NULL;
CREATE INDEX runs_open ON runs (workspace, block) WHERE status IN ('pending', 'running');
CREATE TABLE run_people (
  name text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  role text COLLATE "C" NOT NULL,
  PRIMARY KEY (name, run_id, role)
);
CREATE INDEX run_people_by_run ON run_people (run_id);
CREATE TABLE run_aliases (
  alias text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (alias, run_id)
);
CREATE INDEX run_aliases_by_run ON run_aliases (run_id);
`;

const WORKING_STATE = `
CREATE TABLE leases (
  run_id text COLLATE "C" PRIMARY KEY,
  owner text NOT NULL,
  fence integer NOT NULL,
  executor text NOT NULL,
  phase text NOT NULL,
  ref text,
  expires_at bigint NOT NULL,
  timeout_ms bigint,
  cancel_requested boolean NOT NULL DEFAULT false,
  -- Of the call that made or took this lease.
  token uuid NOT NULL
);
CREATE TABLE requests (
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  arguments_digest text NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  valid_ms bigint NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX requests_by_run ON requests (run_id);
CREATE TABLE burnt (nonce text COLLATE "C" PRIMARY KEY, expires_at bigint NOT NULL);
-- Calls that were given up without an answer: should one still arrive, it does nothing.
CREATE TABLE withdrawn (token uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
-- The ledger's id, and what is remembered about verifications and anchors.
CREATE TABLE meta (name text COLLATE "C" PRIMARY KEY, value text NOT NULL);
INSERT INTO meta VALUES ('ledger', gen_random_uuid()::text);
CREATE TABLE ledger_key (key bytea NOT NULL);
INSERT INTO ledger_key VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
`;

export const TABLES = `${EVENTS}${RUNS}${WORKING_STATE}${QUESTION_TABLES}`;
