// What erasing and pruning need of the database. The statements themselves need rights that only the owner and the
// role for upkeep have; what only an owner may do is a function that asks for the same right.

const TABLE = `
CREATE INDEX events_of_upkeep ON events (kind, seq) WHERE kind IN ('person_erased', 'ledger_pruned');
-- What pruned runs were summed up to; the newest ledger_pruned has the digest.
CREATE TABLE rollups (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  day text NOT NULL, kind text NOT NULL, organization text, workspace text NOT NULL, environment text, block text,
  block_version text, action text, status text NOT NULL,
  runs bigint NOT NULL, launched bigint NOT NULL, duration_ms bigint NOT NULL
);
`;

/** CLUSTER, because VACUUM FULL is no statement for a function: both write a table anew without what was deleted. */
const COMPACT = `
CREATE FUNCTION ledger_upkeep_only() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF NOT has_table_privilege(session_user, 'event_private', 'DELETE') THEN
    RAISE EXCEPTION 'permission denied: erasing and pruning are for the role for upkeep' USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;

CREATE FUNCTION ledger_compact(p_table text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM ledger_upkeep_only();
  EXECUTE format('CLUSTER %I USING %I', p_table, p_table || '_pkey');
END $$;
REVOKE ALL ON FUNCTION ledger_upkeep_only(), ledger_compact(text) FROM PUBLIC;
`;

export const UPKEEP = `${TABLE}${COMPACT}`;
