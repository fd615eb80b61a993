import { ENTRY } from './migration-1-entry.ts';

// Where servers and runners meet; part of the first schema. Working state, times by the database's clock.

export const RUNNERS = `
CREATE TABLE runners (
  name text COLLATE "C" PRIMARY KEY,
  key text NOT NULL,
  entry text NOT NULL,
  presence text NOT NULL,
  seen_at bigint NOT NULL
);

CREATE TABLE runner_calls (
  id text COLLATE "C" PRIMARY KEY,
  runner text COLLATE "C" NOT NULL,
  body text NOT NULL,
  expires_at bigint NOT NULL,
  taker text,
  run_id text,
  answer text
);

CREATE FUNCTION ledger_runner_enter(p_name text, p_key text, p_entry text, p_keep_ms bigint, p_forget_ms bigint)
RETURNS boolean LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  DELETE FROM runners WHERE seen_at < ledger_now() - p_forget_ms;
  INSERT INTO runners AS r VALUES (p_name, p_key, p_entry, 'here', ledger_now())
    ON CONFLICT (name) DO UPDATE SET key = p_key, entry = p_entry, presence = 'here', seen_at = ledger_now()
    WHERE r.key = p_key OR r.presence = 'ended' OR r.seen_at < ledger_now() - p_keep_ms;
  RETURN FOUND;
END $$;

CREATE FUNCTION ledger_runner_touch(p_name text, p_key text)
RETURNS boolean LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE runners SET presence = 'here', seen_at = ledger_now() WHERE name = p_name AND key = p_key;
  RETURN FOUND;
END $$;

CREATE FUNCTION ledger_runner_leave(p_name text, p_key text, p_how text)
RETURNS void LANGUAGE sql ${ENTRY} AS $$
  UPDATE runners SET presence = p_how WHERE name = p_name AND key = p_key;
$$;

CREATE FUNCTION ledger_calls_channel() RETURNS text LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
BEGIN
  RETURN ledger_channel() || '_calls';
END $$;

CREATE FUNCTION ledger_call_put(p_id text, p_runner text, p_body text, p_valid_ms bigint)
RETURNS void LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  DELETE FROM runner_calls WHERE expires_at <= ledger_now();
  INSERT INTO runner_calls (id, runner, body, expires_at) VALUES (p_id, p_runner, p_body, ledger_now() + p_valid_ms)
    ON CONFLICT DO NOTHING;
  PERFORM pg_notify(ledger_calls_channel(), '');
END $$;

CREATE FUNCTION ledger_call_take(p_runner text, p_taker text)
RETURNS TABLE (id text, runner text, body text, run_id text, answer text)
LANGUAGE sql ${ENTRY} AS $$
  UPDATE runner_calls c SET taker = p_taker
    WHERE c.runner = p_runner AND c.answer IS NULL AND c.expires_at > ledger_now() AND (c.taker IS NULL OR c.taker = p_taker)
    RETURNING c.id, c.runner, c.body, c.run_id, c.answer;
$$;

CREATE FUNCTION ledger_call_give_back(p_taker text)
RETURNS void LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE runner_calls SET taker = NULL WHERE taker = p_taker AND answer IS NULL;
  PERFORM pg_notify(ledger_calls_channel(), '');
END $$;

CREATE FUNCTION ledger_call_launched(p_id text, p_run_id text)
RETURNS boolean LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE runner_calls SET run_id = p_run_id
    WHERE id = p_id AND expires_at > ledger_now() AND (run_id IS NULL OR run_id = p_run_id);
  RETURN FOUND;
END $$;

CREATE FUNCTION ledger_call_answer(p_id text, p_runner text, p_answer text)
RETURNS boolean LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE runner_calls SET answer = coalesce(answer, p_answer)
    WHERE id = p_id AND runner = p_runner AND expires_at > ledger_now();
  IF FOUND THEN
    PERFORM pg_notify(ledger_calls_channel(), '');
    RETURN true;
  END IF;
  RETURN false;
END $$;

CREATE FUNCTION ledger_call_remove(p_id text)
RETURNS TABLE (id text, runner text, body text, run_id text, answer text)
LANGUAGE sql ${ENTRY} AS $$
  DELETE FROM runner_calls c WHERE c.id = p_id RETURNING c.id, c.runner, c.body, c.run_id, c.answer;
$$;

REVOKE ALL ON FUNCTION ledger_runner_enter(text, text, text, bigint, bigint), ledger_runner_touch(text, text),
  ledger_runner_leave(text, text, text), ledger_calls_channel(), ledger_call_put(text, text, text, bigint),
  ledger_call_take(text, text), ledger_call_give_back(text), ledger_call_launched(text, text),
  ledger_call_answer(text, text, text), ledger_call_remove(text) FROM PUBLIC;
`;
