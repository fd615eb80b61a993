import { ENTRY } from './migration-1-entry.ts';

// How far each webhook has come; part of the first schema. Working state. Times by the database's clock.

export const WEBHOOKS = `
CREATE TABLE webhooks (
  webhook text COLLATE "C" PRIMARY KEY,
  seq bigint NOT NULL,
  attempts integer NOT NULL,
  due_at bigint NOT NULL,
  fence integer NOT NULL,
  lease_until bigint NOT NULL
);

CREATE INDEX events_told ON events (seq)
  WHERE kind IN ('run_approval_asked', 'run_approval_answered', 'run_started', 'run_finished');

CREATE FUNCTION ledger_webhook_take(p_webhook text, p_lease_ms bigint)
RETURNS TABLE (seq bigint, attempts integer, fence integer)
LANGUAGE plpgsql ${ENTRY} AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO webhooks SELECT p_webhook, coalesce((SELECT max(e.seq) FROM events e), 0), 0, 0, 0, 0 ON CONFLICT DO NOTHING;
  -- It begins behind what is there, so there is nothing to deliver yet.
  IF FOUND THEN RETURN; END IF;
  RETURN QUERY UPDATE webhooks w SET fence = w.fence + 1, lease_until = ledger_now() + p_lease_ms
    WHERE w.webhook = p_webhook AND w.lease_until < ledger_now() AND w.due_at <= ledger_now()
    RETURNING w.seq, w.attempts, w.fence;
END $$;

CREATE FUNCTION ledger_webhook_settle(p_webhook text, p_fence integer, p_seq bigint, p_attempts integer, p_due_in_ms bigint)
RETURNS boolean LANGUAGE plpgsql ${ENTRY} AS $$
BEGIN
  UPDATE webhooks SET seq = p_seq, attempts = p_attempts, due_at = ledger_now() + p_due_in_ms, lease_until = 0
    WHERE webhook = p_webhook AND fence = p_fence;
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION ledger_webhook_take(text, bigint), ledger_webhook_settle(text, integer, bigint, integer, bigint) FROM PUBLIC;
`;
