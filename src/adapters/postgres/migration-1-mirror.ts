import { ENTRY } from './migration-1-entry.ts';

// Runs that others executed, in the first schema: what each source says of each, and where each sync stands.

export const MIRROR_TABLES = `
CREATE TABLE mirrored (
  seq bigint NOT NULL,
  position integer NOT NULL,
  source text COLLATE "C" NOT NULL,
  endpoint text COLLATE "C" NOT NULL,
  foreign_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  was text COLLATE "C",
  duplicate_of text COLLATE "C",
  current integer NOT NULL,
  facts text NOT NULL,
  commitments text NOT NULL,
  private text NOT NULL,
  PRIMARY KEY (seq, position)
);
CREATE INDEX mirrored_by_id ON mirrored (source, endpoint, foreign_id, seq, position);
CREATE UNIQUE INDEX mirrored_current ON mirrored (source, endpoint, foreign_id) WHERE current = 1;
CREATE INDEX mirrored_by_run ON mirrored (run_id, seq, position);
CREATE INDEX mirrored_duplicates ON mirrored (run_id) WHERE duplicate_of IS NOT NULL AND current = 1;
-- Working state: losing it costs a sync from the beginning, and no history.
CREATE TABLE syncs (
  source text COLLATE "C" NOT NULL,
  endpoint text COLLATE "C" NOT NULL,
  position text NOT NULL,
  runs bigint NOT NULL,
  oldest bigint,
  newest bigint,
  success_at bigint,
  problem text,
  missing text,
  PRIMARY KEY (source, endpoint)
);
`;

/**
 * A page was planned from what was read before; `p_runs` and `p_rows` are the newest events and rows that were seen.
 * Where others came in between, nothing is stored and the caller plans again.
 */
export const MIRROR_FUNCTIONS = `
CREATE FUNCTION ledger_mirror_state() RETURNS TABLE (runs bigint, rows bigint, schema integer)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
  runs := greatest((SELECT max(seq) FROM events WHERE run_id <> ''), (SELECT max(seq) FROM events WHERE kind IN ('person_erased', 'ledger_pruned')), 0);
  rows := coalesce((SELECT max(seq) FROM mirrored), 0);
  schema := (SELECT max(version) FROM ledger_schema);
  RETURN NEXT;
END $$;

-- seq: of the event of the page; null where there is none.
CREATE FUNCTION ledger_mirror(p_runs bigint, p_rows bigint, p_token uuid, p_plan json, OUT outcome text, OUT seq bigint)
LANGUAGE plpgsql ${ENTRY} AS $$
#variable_conflict use_column
DECLARE
  p record;
  s record;
BEGIN
  PERFORM ledger_lock();
  outcome := 'stored';
  IF ledger_seen(p_token) THEN
    SELECT e.seq INTO seq FROM events e WHERE e.token = p_token AND e.run_id = '';
    RETURN;
  END IF;
  -- Once: the text of a page is long.
  SELECT * INTO p FROM json_to_record(p_plan) AS x(page json, superseded json, rows json, gone json, seen json, tables json, at bigint, sync json);
  SELECT * INTO s FROM json_to_record(coalesce(p.sync, '{}')) AS x(source text, endpoint text, added bigint, oldest bigint, newest bigint,
    "position" text, expected text, told boolean, missing text);
  IF s.expected IS NOT NULL AND s.expected <> coalesce((SELECT y.position FROM syncs y
      WHERE y.source = s.source AND y.endpoint = s.endpoint), 'null') THEN
    outcome := 'moved';
    RETURN;
  END IF;
  IF p.page IS NOT NULL OR json_array_length(p.seen) > 0 THEN
    IF EXISTS (SELECT FROM ledger_mirror_state() AS now WHERE now.runs <> p_runs OR now.rows <> p_rows) THEN
      outcome := 'stale';
      RETURN;
    END IF;
  END IF;
  IF p.page IS NOT NULL THEN
    seq := ledger_chain(p.page);
    UPDATE mirrored m SET current = 0 FROM json_to_recordset(p.superseded) AS x(seq bigint, "position" integer)
      WHERE m.seq = x.seq AND m.position = x.position;
    INSERT INTO mirrored SELECT ledger_mirror.seq, x.position, x.source, x.endpoint, x.foreign_id, x.run_id, x.was, x.duplicate_of,
        x.current, x.facts, x.commitments, x.private FROM json_populate_recordset(NULL::mirrored, p.rows) AS x;
  END IF;
  IF json_array_length(p.gone) > 0 THEN
    PERFORM ledger_narrow_forget(ARRAY(SELECT json_array_elements_text(p.gone)));
    DELETE FROM runs WHERE id IN (SELECT json_array_elements_text(p.gone));
    DELETE FROM run_people WHERE run_id IN (SELECT json_array_elements_text(p.gone));
    DELETE FROM run_aliases WHERE run_id IN (SELECT json_array_elements_text(p.gone));
  END IF;
  PERFORM ledger_write(value) FROM json_array_elements(p.seen);
  IF p.tables IS NOT NULL THEN PERFORM ledger_put(seq, p.tables); END IF;
  PERFORM ledger_count_up_to(p.at);
  IF p.sync IS NOT NULL THEN
    INSERT INTO syncs (source, endpoint, position, runs) VALUES (s.source, s.endpoint, 'null', 0)
      ON CONFLICT DO NOTHING;
    UPDATE syncs y SET success_at = p.at, problem = NULL, runs = runs + s.added,
        oldest = least(oldest, s.oldest), newest = greatest(newest, s.newest),
        position = coalesce(s.position, y.position),
        missing = CASE WHEN s.told THEN s.missing ELSE y.missing END
      WHERE y.source = s.source AND y.endpoint = s.endpoint;
  END IF;
  PERFORM pg_notify(ledger_channel(), '');
END $$;

CREATE FUNCTION ledger_sync_failed(p_source text, p_endpoint text, p_problem text) RETURNS void
LANGUAGE sql ${ENTRY} AS $$
  INSERT INTO syncs (source, endpoint, position, runs, problem) VALUES (p_source, p_endpoint, 'null', 0, p_problem)
  ON CONFLICT (source, endpoint) DO UPDATE SET problem = EXCLUDED.problem
$$;

REVOKE ALL ON FUNCTION ledger_mirror(bigint, bigint, uuid, json), ledger_sync_failed(text, text, text) FROM PUBLIC;
`;
