import { ENTRY } from './migration-1-entry.ts';

// Reports to a Polycrate API that are still to be delivered; part of the first schema.

/** `owner` is empty where nobody delivers it; `due_at` is 2^53 - 1 where it waits for its run. */
export const OUTBOX_TABLE = `
CREATE TABLE outbox (
  run_id text COLLATE "C" PRIMARY KEY,
  endpoint text COLLATE "C" NOT NULL,
  phase text COLLATE "C" NOT NULL,
  due_at bigint NOT NULL,
  state text NOT NULL,
  created_at bigint NOT NULL,
  owner text NOT NULL DEFAULT '',
  lease_until bigint NOT NULL DEFAULT 0,
  fence integer NOT NULL DEFAULT 0,
  -- Of the call that took it.
  token uuid
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE phase <> 'dead';
`;

/** Each may be repeated after a lost answer. */
export const OUTBOX_FUNCTIONS = `
CREATE FUNCTION ledger_outbox_add(p_run_id text, p_at bigint, p_submission json) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO outbox (run_id, endpoint, phase, due_at, state, created_at)
    SELECT p_run_id, x.endpoint, x.phase, x.due_at, x.state, p_at
    FROM json_to_record(p_submission) AS x(endpoint text, phase text, due_at bigint, state text);
END $$;

-- A run went on, so its report may.
CREATE FUNCTION ledger_outbox_wake(p_event json) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  UPDATE outbox SET due_at = (p_event->>'at')::bigint WHERE run_id = p_event->>'run_id' AND due_at = 9007199254740991
    AND p_event->>'kind' IN ('run_started', 'run_adopted', 'run_finished');
END $$;

CREATE FUNCTION ledger_outbox_take(p_run_id text, p_fence integer, p_owner text, p_until bigint, p_state text, p_token uuid)
RETURNS SETOF outbox LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE outbox SET owner = p_owner, lease_until = p_until, fence = fence + 1, state = p_state, token = p_token
    WHERE run_id = p_run_id AND fence = p_fence;
  RETURN QUERY SELECT * FROM outbox WHERE run_id = p_run_id AND fence = p_fence + 1 AND token = p_token;
END $$;

-- p_next: null where it is delivered. p_event: null where there is nothing to record. p_version: which record the caller saw.
CREATE FUNCTION ledger_outbox_settle(p_run_id text, p_fence integer, p_next json, p_event json, p_version bigint)
RETURNS text LANGUAGE plpgsql ${ENTRY} AS $$
DECLARE
  v_due bigint := p_next->>'due_at';
BEGIN
  PERFORM ledger_lock();
  IF p_event IS NOT NULL AND ledger_seen((p_event->>'token')::uuid) THEN RETURN 'stored'; END IF;
  PERFORM FROM outbox WHERE run_id = p_run_id AND fence = p_fence FOR UPDATE;
  IF NOT FOUND THEN RETURN 'lost'; END IF;
  IF p_event IS NOT NULL AND (SELECT version FROM runs WHERE id = p_run_id) IS DISTINCT FROM p_version THEN RETURN 'stale'; END IF;
  IF p_next IS NULL THEN
    DELETE FROM outbox WHERE run_id = p_run_id;
  ELSE
    -- The run may have ended while its report was under way: then nothing else would wake it.
    IF v_due = 9007199254740991
      AND EXISTS (SELECT FROM runs WHERE id = p_run_id AND status NOT IN ('pending', 'running')) THEN v_due := 0; END IF;
    UPDATE outbox SET phase = p_next->>'phase', due_at = v_due, state = p_next->>'state', owner = '', lease_until = 0
      WHERE run_id = p_run_id;
  END IF;
  IF p_event IS NOT NULL THEN PERFORM ledger_write(p_event); END IF;
  RETURN 'stored';
END $$;

CREATE FUNCTION ledger_outbox_revive(p_run_id text, p_fence integer, p_phase text, p_due bigint, p_state text) RETURNS boolean
LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE outbox SET phase = p_phase, due_at = p_due, state = p_state
    WHERE run_id = p_run_id AND fence = p_fence AND phase = 'dead';
  RETURN FOUND;
END $$;

REVOKE ALL ON FUNCTION ledger_outbox_add(text, bigint, json), ledger_outbox_wake(json),
  ledger_outbox_take(text, integer, text, bigint, text, uuid), ledger_outbox_settle(text, integer, json, json, bigint),
  ledger_outbox_revive(text, integer, text, bigint, text) FROM PUBLIC;
`;
