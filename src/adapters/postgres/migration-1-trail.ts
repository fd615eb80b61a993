import { ENTRY } from './migration-1-entry.ts';

// The assistant's own trail in the first schema: one row for each call, a projection of the events of kind
// `calls_recorded`, written by the function below and by `ledger_request`.

export const TRAIL_TABLES = `
CREATE TABLE calls (
  seq bigint NOT NULL,
  position integer NOT NULL,
  id text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  tool text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  code text COLLATE "C",
  duration_ms bigint NOT NULL,
  run_id text COLLATE "C",
  subject text COLLATE "C",
  display text COLLATE "C",
  principal text,
  client text,
  arguments text,
  PRIMARY KEY (seq, position)
);
CREATE INDEX calls_by_time ON calls (at, id);
-- Batches of calls are many, and no news about runs.
CREATE INDEX events_of_runs ON events (seq) WHERE run_id <> '';
`;

export const TRAIL_FUNCTIONS = `
-- Chains a batch of calls. The lock is held. Wakes nobody: no run changed.
CREATE FUNCTION ledger_write_calls(p_event json) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_seq bigint := ledger_chain(p_event);
BEGIN
  INSERT INTO calls (seq, position, id, at, tool, outcome, code, duration_ms, run_id, subject, display, principal,
    client, arguments)
    SELECT v_seq, x.position, x.id, x.at, x.tool, x.outcome, x.code, x.duration_ms, x.run_id, x.subject, x.display,
      x.principal, x.client, x.arguments FROM json_populate_recordset(NULL::calls, p_event->'calls') AS x;
END $$;

-- Answers the schema where it is newer than the caller knows; nothing is stored then.
CREATE FUNCTION ledger_record_calls(p_known integer, p_event json) RETURNS integer
LANGUAGE plpgsql ${ENTRY} AS $$
DECLARE
  v_schema integer;
BEGIN
  PERFORM ledger_lock();
  IF ledger_seen((p_event->>'token')::uuid) THEN RETURN NULL; END IF;
  SELECT max(version) INTO v_schema FROM ledger_schema;
  IF p_known < v_schema THEN RETURN v_schema; END IF;
  PERFORM ledger_write_calls(p_event);
  RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION ledger_write_calls(json), ledger_record_calls(integer, json) FROM PUBLIC;
`;
