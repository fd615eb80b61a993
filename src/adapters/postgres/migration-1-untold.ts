import { ENTRY } from './migration-1-entry.ts';

// Runs without an idempotency key whose caller does not know their id yet; part of the first schema.

/** `teller` is empty if the caller is gone. */
export const UNTOLD_TABLE = `
CREATE TABLE untold (
  run_id text COLLATE "C" PRIMARY KEY,
  call text COLLATE "C" NOT NULL,
  teller text NOT NULL,
  at bigint NOT NULL
);
`;

/** Each may be repeated after a lost answer: what it wanted is then what it finds. */
export const UNTOLD_FUNCTIONS = `
CREATE FUNCTION ledger_untold_add(p_run_id text, p_at bigint, p_untold json) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  DELETE FROM untold WHERE at < p_at - (p_untold->>'valid_ms')::bigint;
  INSERT INTO untold (run_id, call, teller, at) VALUES (p_run_id, p_untold->>'call', p_untold->>'teller', p_at);
END $$;

CREATE FUNCTION ledger_untold_pass(p_run_id text, p_from text, p_to text) RETURNS boolean
LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE untold SET teller = p_to WHERE run_id = p_run_id AND teller = p_from;
  RETURN EXISTS (SELECT FROM untold WHERE run_id = p_run_id AND teller = p_to);
END $$;

CREATE FUNCTION ledger_untold_told(p_run_id text) RETURNS void
LANGUAGE sql ${ENTRY} AS $$
  DELETE FROM untold WHERE run_id = p_run_id;
$$;

REVOKE ALL ON FUNCTION ledger_untold_add(text, bigint, json), ledger_untold_pass(text, text, text),
  ledger_untold_told(text) FROM PUBLIC;
`;
