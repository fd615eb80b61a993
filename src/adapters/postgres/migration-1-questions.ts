import { COUNTED_UNTIL, countStatements, CUBES, HOUR, keysOf, SLOT_INDEX } from '../sql/cubes.ts';
import { CLASS_SIZE, PLAIN_COLUMNS, TERM_COLUMNS } from '../sql/narrow.ts';
import { LOOSE_INDEX } from '../sql/going.ts';
import {
  narrowStatements,
  spanStatements,
  SPAN_COLUMNS,
  SPAN_INDEXES,
  SUCCESS,
  UNIT_COLUMNS,
  WIDEN,
} from '../sql/spans.ts';

const TYPES = { exit_code: 'integer', state: 'smallint NOT NULL', bucket: 'smallint NOT NULL',
  requested_at: 'bigint NOT NULL', finished_at: 'bigint', duration_ms: 'bigint' }; // prettier-ignore

/** What questions about many runs read instead of the records: runs in numbers, what the numbers mean, and counts. */
export const QUESTION_TABLES = `
CREATE TABLE terms (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL
);
-- Some are longer than an ordered index can hold. One writer at a time sees to it that there is one of each.
CREATE INDEX terms_by_value ON terms USING hash (value);
CREATE INDEX terms_by_kind ON terms (kind, id) WHERE kind <> 'said';
CREATE TABLE narrow_runs (
  start bigint NOT NULL,
  n bigint NOT NULL,
  ${PLAIN_COLUMNS.map((column) => `${column} ${TYPES[column]}`).join(',\n  ')},
  ${TERM_COLUMNS.map((column) => `${column} integer NOT NULL DEFAULT 0`).join(',\n  ')},
  PRIMARY KEY (start, n)
);
-- When each version ran where, without looking at the runs between.
CREATE INDEX narrow_runs_by_unit ON narrow_runs (unit, state, start, action, duration_ms);
-- Runs whose duration does not bound when they ended.
${LOOSE_INDEX}
-- When the first and the last run of each unit began, and of those that succeeded; action 0: of all actions.
CREATE TABLE unit_spans (
  first_run bigint NOT NULL,
  last_run bigint NOT NULL,
  first_success bigint,
  last_success bigint,
  ${['action', ...UNIT_COLUMNS].map((column) => `${column} integer NOT NULL`).join(',\n  ')},
  PRIMARY KEY (action, place, block, release, unit)
);
${SPAN_INDEXES}
CREATE TABLE run_counts (
  cube smallint NOT NULL,
  a integer NOT NULL,
  b integer NOT NULL,
  c integer NOT NULL,
  slot integer NOT NULL,
  state smallint NOT NULL,
  runs bigint NOT NULL,
  -- With what is counted: rows of one answer lie all over the table.
  PRIMARY KEY (cube, a, b, c, slot, state) INCLUDE (runs)
);
-- All durations of a few slots, without a look for each of them.
${SLOT_INDEX}
`;

/** What each cube has for the run in the variable `r`. */
const KEYS_OF_ROW = CUBES.map(
  (cube) =>
    `(${cube.id}, ${keysOf(cube, (column) => `r.${column}`).join(', ')}, r.start / ${cube.slot_ms}, r.state)`,
).join(',\n    ');

const COUNTING = `
CREATE FUNCTION ledger_counted_until() RETURNS bigint LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
  RETURN coalesce((SELECT value::bigint FROM meta WHERE name = '${COUNTED_UNTIL}'), 0);
END $$;

-- Adds a run to the counts of each cube, or takes it away.
CREATE FUNCTION ledger_count(r narrow_runs, p_by integer) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF r.start < 0 OR r.start >= ledger_counted_until() THEN RETURN; END IF;
  INSERT INTO run_counts AS k (cube, a, b, c, slot, state, runs)
    SELECT x.cube, x.a, x.b, x.c, x.slot, x.state, p_by FROM (VALUES
    ${KEYS_OF_ROW}) AS x(cube, a, b, c, slot, state)
    ON CONFLICT (cube, a, b, c, slot, state) DO UPDATE SET runs = k.runs + EXCLUDED.runs;
  IF p_by > 0 THEN RETURN; END IF;
  DELETE FROM run_counts k USING (VALUES
    ${KEYS_OF_ROW}) AS x(cube, a, b, c, slot, state)
    WHERE k.cube = x.cube AND k.a = x.a AND k.b = x.b AND k.c = x.c AND k.slot = x.slot AND k.state = x.state
      AND k.runs = 0;
END $$;

-- Takes into the counts what lies far enough behind.
CREATE FUNCTION ledger_count_up_to(p_at bigint) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_from bigint := ledger_counted_until();
  v_to bigint := p_at / ${HOUR} * ${HOUR} - ${HOUR};
BEGIN
  IF v_to <= v_from THEN RETURN; END IF;
  IF EXISTS (SELECT FROM narrow_runs WHERE start >= v_from AND start < v_to) THEN
    ${countStatements('narrow_runs c WHERE c.start >= v_from AND c.start < v_to').join(';\n    ')};
  END IF;
  INSERT INTO meta (name, value) VALUES ('${COUNTED_UNTIL}', v_to::text)
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value;
END $$;
`;

const KEY_OF_ROW = (column: string): string => (column === 'action' ? 'v_action' : `r.${column}`);

const SPANNING = `
-- Tells when a run began that is in narrow_runs now.
CREATE FUNCTION ledger_span(r narrow_runs) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_success bigint := CASE r.state WHEN ${SUCCESS} THEN r.start END;
BEGIN
  IF r.state >= ${CLASS_SIZE} OR r.unit = 0 THEN RETURN; END IF;
  INSERT INTO unit_spans (${SPAN_COLUMNS.join(', ')})
    SELECT DISTINCT x.action, ${UNIT_COLUMNS.map((column) => `r.${column}`).join(', ')}, r.start, r.start, v_success, v_success
    FROM (VALUES (0), (r.action)) AS x(action)
    ${WIDEN};
END $$;

-- Looks again at when runs began, after one of them is gone from narrow_runs or is another one now.
CREATE FUNCTION ledger_span_again(r narrow_runs) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_action integer;
BEGIN
  IF r.state >= ${CLASS_SIZE} OR r.unit = 0 THEN RETURN; END IF;
  FOREACH v_action IN ARRAY ARRAY[0, r.action] LOOP
    ${narrowStatements(KEY_OF_ROW).join(';\n    ')};
  END LOOP;
END $$;
`;

/** Whether something that was told of a run is not true any more. */
const WITHDRAWN = (old: string, now: string): string =>
  `(${old}.unit, ${old}.action, ${old}.start) <> (${now}.unit, ${now}.action, ${now}.start)
    OR ${now}.state >= ${CLASS_SIZE} OR (${old}.state = ${SUCCESS} AND ${now}.state <> ${SUCCESS})`;

/** Of `runs`, without the number and the version. */
const RUN_COLUMNS = `id, kind, organization, workspace, environment, block, block_version, app_version, block_from, action, status,
    exit_code, launched, requested_at, started_at, finished_at, duration_ms, host, client, source, retrigger_of, record`;

const WRITING = `
-- p_narrow: \`row\` and \`terms\`, the texts of the columns that are terms. p_start: where the run was.
CREATE FUNCTION ledger_narrow(p_n bigint, p_start bigint, p_narrow json) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_old narrow_runs;
  v_new narrow_runs;
BEGIN
  SELECT * INTO v_old FROM narrow_runs WHERE start = p_start AND n = p_n;
  v_new := json_populate_record(NULL::narrow_runs, p_narrow->'row');
  v_new.n := p_n;
  INSERT INTO terms (kind, value) SELECT t.key, t.value FROM json_each_text(p_narrow->'terms') AS t
    WHERE NOT EXISTS (SELECT FROM terms x WHERE x.value = t.value AND x.kind = t.key);
  v_new := json_populate_record(v_new, (SELECT json_object_agg(x.kind, x.id) FROM json_each_text(p_narrow->'terms') AS t
    JOIN terms x ON x.value = t.value AND x.kind = t.key));
  IF v_old.n IS NOT NULL THEN
    IF v_old = v_new THEN RETURN; END IF;
    DELETE FROM narrow_runs WHERE start = v_old.start AND n = p_n;
    PERFORM ledger_count(v_old, -1);
  END IF;
  INSERT INTO narrow_runs VALUES (v_new.*);
  IF v_old.n IS NOT NULL AND (${WITHDRAWN('v_old', 'v_new')}) THEN
    PERFORM ledger_span_again(v_old);
  END IF;
  PERFORM ledger_span(v_new);
  PERFORM ledger_count(v_new, 1);
END $$;
-- Takes runs out of narrow_runs and the counts; their rows in runs still say where they are.
CREATE FUNCTION ledger_narrow_forget(p_ids text[]) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  v_old narrow_runs;
BEGIN
  FOR v_old IN DELETE FROM narrow_runs c USING runs r
    WHERE r.id = ANY (p_ids) AND c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n RETURNING c.*
  LOOP
    PERFORM ledger_count(v_old, -1);
    PERFORM ledger_span_again(v_old);
  END LOOP;
END $$;

-- The numbers of terms, in their order; new ones get one. p_terms: each once.
CREATE FUNCTION ledger_terms(p_terms json) RETURNS integer[] LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO terms (kind, value) SELECT x.kind, x.value FROM json_to_recordset(p_terms) AS x(kind text, value text)
    WHERE NOT EXISTS (SELECT FROM terms t WHERE t.value = x.value AND t.kind = x.kind);
  RETURN ARRAY(SELECT (SELECT t.id FROM terms t WHERE t.value = x.value AND t.kind = x.kind)
    FROM ROWS FROM (json_to_recordset(p_terms) AS (kind text, value text)) WITH ORDINALITY AS x(kind, value, place)
    ORDER BY x.place);
END $$;

-- Puts runs that came whole, each once, in the place of what the tables said of them. p_tables: runs, narrow, terms, people,
-- aliases. There n is a place among the runs, and columns that are terms have a place among the terms, from 1; 0: none.
CREATE FUNCTION ledger_put(p_version bigint, p_tables json) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  t record;
  v_until bigint := ledger_counted_until();
  v_runs runs[];
  v_ids text[];
  v_n bigint[];
  v_terms integer[];
  v_old narrow_runs[];
  v_new narrow_runs[];
BEGIN
  SELECT * INTO t FROM json_to_record(p_tables) AS x(runs json, narrow json, terms json, people json, aliases json);
  v_runs := ARRAY(SELECT x FROM json_populate_recordset(NULL::runs, t.runs) AS x ORDER BY x.n);
  v_ids := ARRAY(SELECT x.id FROM unnest(v_runs) AS x ORDER BY x.n);
  v_n := ARRAY(SELECT r.n FROM unnest(v_runs) AS x LEFT JOIN runs r ON r.id = x.id ORDER BY x.n);
  v_n := ARRAY(SELECT coalesce(n, nextval('run_numbers')) FROM unnest(v_n) AS n);
  v_terms := ledger_terms(t.terms);
  v_old := ARRAY(SELECT c FROM runs r JOIN narrow_runs c ON c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n
    WHERE r.id = ANY (v_ids));
  v_new := ARRAY(SELECT ROW(x.start, v_n[x.n], ${PLAIN_COLUMNS.map((column) => `x.${column}`).join(', ')},
      ${TERM_COLUMNS.map((column) => `coalesce(v_terms[x.${column}], 0)`).join(', ')})::narrow_runs
    FROM json_populate_recordset(NULL::narrow_runs, t.narrow) AS x);
  -- What changes: of a row that stays as it is nothing has to be told again.
  SELECT coalesce(array_agg(o) FILTER (WHERE o.n IS NOT NULL), '{}'), array_agg(w) INTO v_old, v_new
    FROM unnest(v_new) AS w LEFT JOIN unnest(v_old) AS o ON o.n = w.n WHERE o IS DISTINCT FROM w;
  DELETE FROM narrow_runs c USING unnest(v_old) AS o WHERE c.start = o.start AND c.n = o.n;
  INSERT INTO narrow_runs SELECT w.* FROM unnest(v_new) AS w;
  PERFORM ledger_span_again(o) FROM unnest(v_old) AS o JOIN unnest(v_new) AS w ON w.n = o.n WHERE ${WITHDRAWN('o', 'w')};
  ${spanStatements('unnest(v_new) AS c').join(';\n  ')};
  PERFORM ledger_count(o, -1) FROM unnest(v_old) AS o WHERE o.start < v_until;
  PERFORM ledger_count(w, 1) FROM unnest(v_new) AS w WHERE w.start < v_until;
  DELETE FROM runs WHERE id = ANY (v_ids);
  DELETE FROM run_people WHERE run_id = ANY (v_ids);
  INSERT INTO runs (n, version, ${RUN_COLUMNS}) SELECT v_n[x.n], p_version, ${RUN_COLUMNS} FROM unnest(v_runs) AS x;
  INSERT INTO run_people (name, run_id, role)
    SELECT x.name, x.run_id, x.role FROM json_to_recordset(t.people) AS x(name text, run_id text, role text)
    ON CONFLICT DO NOTHING;
  INSERT INTO run_aliases (alias, run_id)
    SELECT x.alias, x.run_id FROM json_to_recordset(t.aliases) AS x(alias text, run_id text) ON CONFLICT DO NOTHING;
END $$;
REVOKE ALL ON FUNCTION ledger_narrow_forget(text[]), ledger_put(bigint, json), ledger_terms(json), ledger_counted_until(), ledger_count(narrow_runs, integer), ledger_count_up_to(bigint),
  ledger_span(narrow_runs), ledger_span_again(narrow_runs),
  ledger_narrow(bigint, bigint, json) FROM PUBLIC;
`;

export const QUESTION_FUNCTIONS = `${COUNTING}${SPANNING}${WRITING}`;
