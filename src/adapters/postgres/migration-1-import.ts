import { ENTRY } from './migration-1-entry.ts';

/** History that comes from another ledger. */
export const IMPORT = `
-- Appends the runs that are not here, and before them the bundle unless an event says the same already. Answers the
-- ids of those that were appended, by this call or when it came before.
CREATE FUNCTION ledger_import(p_bundle json, p_runs json) RETURNS SETOF text
LANGUAGE plpgsql ${ENTRY} AS $$
DECLARE
  v_run json;
  v_noted boolean;
BEGIN
  PERFORM ledger_lock();
  v_noted := EXISTS (SELECT FROM events
    WHERE run_id = '' AND kind = p_bundle->>'kind' AND facts = p_bundle->>'facts');
  FOR v_run IN SELECT value FROM json_array_elements(p_runs) LOOP
    IF ledger_seen((v_run->>'token')::uuid) THEN
      RETURN NEXT v_run->>'run_id';
    ELSIF NOT EXISTS (SELECT FROM runs WHERE id = v_run->>'run_id') THEN
      IF NOT v_noted THEN PERFORM ledger_chain(p_bundle); END IF;
      v_noted := true;
      PERFORM ledger_write(v_run);
      RETURN NEXT v_run->>'run_id';
    END IF;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION ledger_import(json, json) FROM PUBLIC;
`;
