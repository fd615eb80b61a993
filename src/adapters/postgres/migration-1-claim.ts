import { ENTRY } from './migration-1-entry.ts';

/** One of several servers does what each of them would do. */
export const CLAIM = `
-- True for one caller until then.
CREATE FUNCTION ledger_claim(p_now bigint, p_until bigint) RETURNS boolean
LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  INSERT INTO meta AS m (name, value) VALUES ('claim', p_until::text)
    ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value WHERE m.value::bigint <= p_now;
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION ledger_claim(bigint, bigint) FROM PUBLIC;
`;
