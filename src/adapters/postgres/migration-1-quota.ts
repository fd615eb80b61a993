// Runs under rules of a policy that count them; part of the first schema. Working state: only the last hour and open
// runs matter.

export const QUOTA_TABLE = `
CREATE TABLE policy_uses (
  run_id text COLLATE "C" PRIMARY KEY,
  rule text COLLATE "C" NOT NULL,
  at bigint NOT NULL
);
CREATE INDEX policy_uses_by_rule ON policy_uses (rule, at);
`;

export const QUOTA_FUNCTIONS = `
-- What there is too much of; null: there is room for one more. The ledger's lock is held.
CREATE FUNCTION ledger_quota_exceeded(p_at bigint, p_quota json) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF (SELECT count(*) FROM policy_uses u JOIN runs r ON r.id = u.run_id
      WHERE u.rule = p_quota->>'rule' AND r.status IN ('pending', 'running')) >= (p_quota->>'concurrency')::bigint THEN
    RETURN 'concurrency';
  END IF;
  IF (SELECT count(*) FROM policy_uses u WHERE u.rule = p_quota->>'rule' AND u.at > p_at - (p_quota->>'window_ms')::bigint)
      >= (p_quota->>'per_hour')::bigint THEN
    RETURN 'per_hour';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION ledger_quota_add(p_run_id text, p_at bigint, p_quota json) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  DELETE FROM policy_uses WHERE at <= p_at - (p_quota->>'window_ms')::bigint
    AND run_id NOT IN (SELECT id FROM runs WHERE status IN ('pending', 'running'));
  INSERT INTO policy_uses (run_id, rule, at) VALUES (p_run_id, p_quota->>'rule', p_at);
END $$;
REVOKE ALL ON FUNCTION ledger_quota_exceeded(bigint, json), ledger_quota_add(text, bigint, json) FROM PUBLIC;
`;
