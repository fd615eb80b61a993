import { ENTRY } from './migration-1-entry.ts';

// Events about who may use the server and by which rules, in the first schema.

export const HOUSE = `
CREATE INDEX events_of_the_house ON events (seq) WHERE kind IN ('key_created', 'key_revoked', 'policy_loaded');

-- Chains an event of the house. Answers the schema where it is newer than the caller knows; nothing is stored then.
CREATE FUNCTION ledger_house_add(p_known integer, p_event json) RETURNS integer
LANGUAGE plpgsql ${ENTRY} AS $$
DECLARE
  v_schema integer;
BEGIN
  PERFORM ledger_lock();
  IF ledger_seen((p_event->>'token')::uuid) THEN RETURN NULL; END IF;
  SELECT max(version) INTO v_schema FROM ledger_schema;
  IF p_known < v_schema THEN RETURN v_schema; END IF;
  IF p_event->>'kind' NOT IN ('key_created', 'key_revoked', 'policy_loaded') OR p_event->>'run_id' <> '' THEN
    RAISE EXCEPTION 'no event of the house: %', p_event->>'kind';
  END IF;
  PERFORM ledger_chain(p_event);
  PERFORM pg_notify(ledger_channel(), '');
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION ledger_house_add(integer, json) FROM PUBLIC;
`;
