import { EXCLUSIVE_SQL } from '../../ledger/known-runs.ts';
import { COUNTED_UNTIL } from '../sql/cubes.ts';
import { CLAIM } from './migration-1-claim.ts';
import { ENTRY } from './migration-1-entry.ts';
import { IMPORT } from './migration-1-import.ts';

// Server-side functions of the first schema. All writes go through them, with the rights of the tables' owner, so
// that the role of the servers needs no right to write any table. `search_path` is the one of the migration.

/**
 * One writer at a time, from here to the end of its transaction; it takes the chain's order with it. Statements
 * behind it see what was committed before, which needs READ COMMITTED.
 */
const CHAIN = `
CREATE FUNCTION ledger_lock() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_advisory_xact_lock('events'::regclass::oid::bigint);
END $$;

-- Leases expire by the database's clock, whatever those of the servers say. Events keep their writer's.
CREATE FUNCTION ledger_now() RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT AS $$
BEGIN
  RETURN floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
END $$;

CREATE FUNCTION ledger_channel() RETURNS text LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
  RETURN 'polycrate_mcp_' || 'events'::regclass::oid;
END $$;

-- True if this very call was stored before.
CREATE FUNCTION ledger_seen(p_token uuid) RETURNS boolean LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF EXISTS (SELECT FROM withdrawn WHERE token = p_token) THEN
    RAISE EXCEPTION 'this call was given up before it arrived';
  END IF;
  RETURN EXISTS (SELECT FROM events WHERE token = p_token);
END $$;

-- Links an event to the newest one and stores its private values beside it. The lock is held. Answers its seq.
CREATE FUNCTION ledger_chain(p_event json) RETURNS bigint LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  e record;
  v_seq bigint;
  v_prev text;
  v_bytes text;
BEGIN
  SELECT * INTO e FROM json_to_record(p_event) AS x(
    token uuid, at bigint, kind text, run_id text, facts text, commitments text, private json);
  SELECT seq, hash INTO v_seq, v_prev FROM events ORDER BY seq DESC LIMIT 1;
  v_seq := coalesce(v_seq, 0) + 1;
  v_prev := coalesce(v_prev, repeat('0', 64));
  -- Canonical JSON (FORMAT.md): members in order; facts and commitments come canonical, the rest needs no escapes.
  v_bytes := '{"at":' || e.at || ',"facts":' || e.facts || ',"format":1,"kind":"' || e.kind || '","prev":"' || v_prev
    || '","private":' || e.commitments || ',"run_id":"' || e.run_id || '","seq":' || v_seq || '}';
  INSERT INTO events (seq, at, kind, run_id, facts, commitments, prev, hash, token)
    VALUES (v_seq, e.at, e.kind, e.run_id, e.facts, e.commitments, v_prev,
      encode(sha256(convert_to(v_bytes, 'UTF8')), 'hex'), e.token);
  INSERT INTO event_private (seq, name, salt, value)
    SELECT v_seq, x.name, decode(x.salt, 'hex'), x.value
    FROM json_to_recordset(e.private) AS x(name text, salt text, value text);
  RETURN v_seq;
END $$;

-- Chains an event and replaces what the projection says about its run.
CREATE FUNCTION ledger_write(p_event json) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  e record;
  v_run runs%ROWTYPE;
  v_start bigint;
BEGIN
  SELECT * INTO e FROM json_to_record(p_event) AS x(run_id text, at bigint, run json, people json, aliases json, narrow json);
  v_run := json_populate_record(NULL::runs, e.run);
  v_run.version := ledger_chain(p_event);
  SELECT n, coalesce(started_at, requested_at) INTO v_run.n, v_start FROM runs WHERE id = e.run_id;
  v_run.n := coalesce(v_run.n, nextval('run_numbers'));
  PERFORM ledger_narrow(v_run.n, v_start, e.narrow);
  INSERT INTO runs VALUES (v_run.*) ON CONFLICT (id) DO UPDATE SET
    (kind, organization, workspace, environment, block, block_version, app_version, block_from, action, status,
      exit_code, launched, requested_at, started_at, finished_at, duration_ms, host, client, source, retrigger_of,
      record, version)
    = (EXCLUDED.kind, EXCLUDED.organization, EXCLUDED.workspace, EXCLUDED.environment, EXCLUDED.block,
      EXCLUDED.block_version, EXCLUDED.app_version, EXCLUDED.block_from, EXCLUDED.action, EXCLUDED.status,
      EXCLUDED.exit_code, EXCLUDED.launched, EXCLUDED.requested_at, EXCLUDED.started_at, EXCLUDED.finished_at,
      EXCLUDED.duration_ms, EXCLUDED.host, EXCLUDED.client, EXCLUDED.source, EXCLUDED.retrigger_of,
      EXCLUDED.record, EXCLUDED.version);
  INSERT INTO run_people (name, run_id, role)
    SELECT x.name, e.run_id, x.role FROM json_to_recordset(e.people) AS x(name text, role text)
    ON CONFLICT DO NOTHING;
  INSERT INTO run_aliases (alias, run_id)
    SELECT x.alias, e.run_id FROM json_array_elements_text(e.aliases) AS x(alias) ON CONFLICT DO NOTHING;
  PERFORM ledger_count_up_to(e.at);
  PERFORM pg_notify(ledger_channel(), '');
END $$;
`;

const RECORDS = `
-- Another open run of the same block or workflow; those that wait for approval count only where p_waiting.
CREATE FUNCTION ledger_active(p_run runs, p_waiting boolean) RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT AS $$
  SELECT r.id FROM runs r
    WHERE r.workspace = p_run.workspace AND r.organization IS NOT DISTINCT FROM p_run.organization
      AND r.kind = p_run.kind AND r.status IN ('pending', 'running') AND r.source IN (${EXCLUSIVE_SQL}) AND r.id <> p_run.id
      AND CASE r.kind WHEN 'action' THEN r.block = p_run.block
        ELSE r.record::json->>'workflow' = p_run.record::json->>'workflow' END
      AND (p_waiting OR NOT EXISTS (SELECT FROM leases l WHERE l.run_id = r.id AND l.executor = 'approval'))
    ORDER BY r.requested_at LIMIT 1
$$;

-- p_calls: the calls that led to it, null if none are recorded. p_untold: null if it has a key. p_submission: null if it
-- is reported nowhere.
CREATE FUNCTION ledger_request(p_known integer, p_event json, p_lease json, p_key json, p_exclusive boolean, p_burn json,
  p_calls json, p_untold json, p_submission json, p_quota json)
RETURNS TABLE (outcome text, run_id text, record text, arguments_digest text, at bigint, valid_ms bigint)
LANGUAGE plpgsql ${ENTRY} AS $$
#variable_conflict use_column
DECLARE
  v_token uuid := p_event->>'token';
  v_id text := p_event->>'run_id';
  v_at bigint := p_event->>'at';
  v_run runs := json_populate_record(NULL::runs, p_event->'run');
  l leases := json_populate_record(NULL::leases, p_lease);
  q requests := json_populate_record(NULL::requests, p_key);
  b burnt := json_populate_record(NULL::burnt, p_burn);
  v_exceeded text;
BEGIN
  PERFORM ledger_lock();
  IF ledger_seen(v_token) THEN
    RETURN QUERY SELECT 'stored', r.id, r.record, NULL::text, NULL::bigint, NULL::bigint FROM runs r WHERE r.id = v_id;
    RETURN;
  END IF;
  IF p_known < (SELECT max(version) FROM ledger_schema) THEN
    RETURN QUERY SELECT 'newer', NULL::text, NULL::text, NULL::text, max(version)::bigint, NULL::bigint FROM ledger_schema;
    RETURN;
  END IF;
  RETURN QUERY SELECT 'there', r.id, r.record, NULL::text, r.requested_at, NULL::bigint FROM runs r WHERE r.id = v_id;
  IF FOUND THEN RETURN; END IF;
  IF p_key IS NOT NULL THEN
    RETURN QUERY SELECT 'known', k.run_id, r.record, k.arguments_digest, k.at, k.valid_ms
      FROM requests k JOIN runs r ON r.id = k.run_id WHERE k.scope = q.scope AND k.key = q.key;
    IF FOUND THEN RETURN; END IF;
  END IF;
  IF p_exclusive THEN
    RETURN QUERY SELECT 'active', a, NULL::text, NULL::text, NULL::bigint, NULL::bigint
      FROM ledger_active(v_run, l.executor = 'approval') AS a WHERE a IS NOT NULL;
    IF FOUND THEN RETURN; END IF;
  END IF;
  IF p_quota IS NOT NULL THEN
    v_exceeded := ledger_quota_exceeded(v_at, p_quota);
    IF v_exceeded IS NOT NULL THEN
      RETURN QUERY SELECT 'limited', v_exceeded, NULL::text, NULL::text, NULL::bigint, NULL::bigint;
      RETURN;
    END IF;
  END IF;
  IF p_burn IS NOT NULL THEN
    DELETE FROM burnt WHERE expires_at < v_at;
    INSERT INTO burnt VALUES (b.*) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'burnt', NULL::text, NULL::text, NULL::text, NULL::bigint, NULL::bigint;
      RETURN;
    END IF;
  END IF;
  IF p_calls IS NOT NULL THEN PERFORM ledger_write_calls(p_calls); END IF;
  PERFORM ledger_write(p_event);
  IF p_key IS NOT NULL THEN
    INSERT INTO requests (scope, key, arguments_digest, run_id, at, valid_ms)
      VALUES (q.scope, q.key, q.arguments_digest, v_id, v_at, q.valid_ms);
  END IF;
  IF p_quota IS NOT NULL THEN PERFORM ledger_quota_add(v_id, v_at, p_quota); END IF;
  IF p_untold IS NOT NULL THEN PERFORM ledger_untold_add(v_id, v_at, p_untold); END IF;
  IF p_submission IS NOT NULL THEN PERFORM ledger_outbox_add(v_id, v_at, p_submission); END IF;
  INSERT INTO leases (run_id, owner, fence, executor, phase, ref, expires_at, timeout_ms, token)
    VALUES (l.run_id, l.owner, 1, l.executor, l.phase, l.ref,
      -- Not above what a double holds exactly.
      least(ledger_now() + l.expires_at - v_at, 9007199254740991), l.timeout_ms, v_token);
  RETURN QUERY SELECT 'stored', r.id, r.record, NULL::text, NULL::bigint, NULL::bigint FROM runs r WHERE r.id = v_id;
END $$;

-- p_event: null where there is nothing to append. p_version: which record the caller saw. p_fence: null without guard.
CREATE FUNCTION ledger_append(p_run_id text, p_event json, p_version bigint, p_cancel boolean, p_fence integer, p_change json)
RETURNS TABLE (outcome text, record text)
LANGUAGE plpgsql ${ENTRY} AS $$
#variable_conflict use_column
BEGIN
  PERFORM ledger_lock();
  IF p_event IS NOT NULL AND ledger_seen((p_event->>'token')::uuid) THEN
    RETURN QUERY SELECT 'stored', r.record FROM runs r WHERE r.id = p_run_id;
    RETURN;
  END IF;
  IF p_fence IS NOT NULL THEN
    PERFORM FROM leases WHERE run_id = p_run_id AND fence = p_fence FOR UPDATE;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'lease_lost', NULL::text;
      RETURN;
    END IF;
  END IF;
  IF (SELECT r.version FROM runs r WHERE r.id = p_run_id) IS DISTINCT FROM p_version THEN
    RETURN QUERY SELECT 'stale', NULL::text;
    RETURN;
  END IF;
  IF p_event IS NOT NULL THEN
    PERFORM ledger_write(p_event);
    PERFORM ledger_outbox_wake(p_event);
  END IF;
  IF p_cancel THEN UPDATE leases SET cancel_requested = true WHERE run_id = p_run_id; END IF;
  IF p_fence IS NOT NULL AND p_change IS NOT NULL THEN
    IF (p_change->>'release')::boolean THEN
      DELETE FROM leases WHERE run_id = p_run_id AND fence = p_fence;
    ELSE
      UPDATE leases SET phase = p_change->>'phase', ref = p_change->>'ref' WHERE run_id = p_run_id AND fence = p_fence;
    END IF;
  END IF;
  PERFORM pg_notify(ledger_channel(), '');
  RETURN QUERY SELECT 'stored', r.record FROM runs r WHERE r.id = p_run_id;
END $$;
`;

const LEASES = `
CREATE FUNCTION ledger_lease_renew(p_owner text, p_expires_at bigint) RETURNS SETOF leases
LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE leases SET expires_at = p_expires_at WHERE owner = p_owner AND expires_at > 0;
  RETURN QUERY SELECT * FROM leases WHERE owner = p_owner ORDER BY run_id;
END $$;

CREATE FUNCTION ledger_lease_take(p_run_id text, p_fence integer, p_owner text, p_expires_at bigint, p_token uuid)
RETURNS SETOF leases LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  PERFORM ledger_lock();
  PERFORM ledger_seen(p_token);
  UPDATE leases SET owner = p_owner, expires_at = p_expires_at, fence = fence + 1, token = p_token
    WHERE run_id = p_run_id AND fence = p_fence;
  IF FOUND THEN PERFORM pg_notify(ledger_channel(), ''); END IF;
  RETURN QUERY SELECT * FROM leases WHERE run_id = p_run_id AND fence = p_fence + 1 AND token = p_token;
END $$;

-- From waiting for approval to what the run is from now on. Repeated, it answers the same.
CREATE FUNCTION ledger_lease_promote(p_run_id text, p_fence integer, p_executor text, p_alone boolean)
RETURNS TABLE (held boolean, active text) LANGUAGE plpgsql ${ENTRY} AS $$
DECLARE
  v_run runs%ROWTYPE;
BEGIN
  PERFORM ledger_lock();
  held := EXISTS (SELECT FROM leases WHERE run_id = p_run_id AND fence = p_fence);
  IF held AND p_alone THEN
    SELECT * INTO v_run FROM runs WHERE id = p_run_id;
    active := ledger_active(v_run, false);
  END IF;
  IF held AND active IS NULL THEN
    UPDATE leases SET executor = p_executor WHERE run_id = p_run_id AND fence = p_fence;
    PERFORM pg_notify(ledger_channel(), '');
  END IF;
  RETURN NEXT;
END $$;

CREATE FUNCTION ledger_lease_give(p_run_id text, p_fence integer, p_delete boolean) RETURNS void
LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  IF p_delete THEN
    DELETE FROM leases WHERE run_id = p_run_id AND fence = p_fence;
  ELSE
    UPDATE leases SET expires_at = 0 WHERE run_id = p_run_id AND fence = p_fence;
  END IF;
  PERFORM pg_notify(ledger_channel(), '');
END $$;

-- Whatever became of that call: from now on nobody holds a lease by it.
CREATE FUNCTION ledger_withdraw(p_token uuid) RETURNS void
LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  PERFORM ledger_lock();
  DELETE FROM withdrawn WHERE at < now() - interval '7 days';
  INSERT INTO withdrawn (token) VALUES (p_token) ON CONFLICT DO NOTHING;
  UPDATE leases SET expires_at = 0 WHERE token = p_token;
  PERFORM pg_notify(ledger_channel(), '');
END $$;
`;

const NOTES = `
-- p_notes: name of each note to its text. Neither the ledger's id nor how far runs are counted is one of them.
CREATE FUNCTION ledger_note(p_notes json) RETURNS void
LANGUAGE sql ${ENTRY} AS $$
  INSERT INTO meta (name, value) SELECT n.key, n.value FROM json_each_text(p_notes) AS n WHERE n.key NOT IN ('ledger', '${COUNTED_UNTIL}')
  ON CONFLICT (name) DO UPDATE SET value = excluded.value;
$$;
`;

const PRIVILEGES = `
REVOKE ALL ON FUNCTION ledger_refuse(), ledger_lock(), ledger_now(), ledger_channel(), ledger_seen(uuid), ledger_chain(json),
  ledger_write(json), ledger_request(integer, json, json, json, boolean, json, json, json, json, json),
  ledger_append(text, json, bigint, boolean, integer, json), ledger_active(runs, boolean),
  ledger_lease_promote(text, integer, text, boolean),
  ledger_lease_renew(text, bigint), ledger_lease_take(text, integer, text, bigint, uuid),
  ledger_lease_give(text, integer, boolean), ledger_withdraw(uuid), ledger_note(json) FROM PUBLIC;
`;

export const FUNCTIONS = `${CHAIN}${RECORDS}${LEASES}${NOTES}${IMPORT}${CLAIM}${PRIVILEGES}`;
