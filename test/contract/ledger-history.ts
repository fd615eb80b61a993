import type { Records } from '../../src/history/records.ts';
import type { RunEvent } from '../../src/runs/action-run.ts';
import { callsEvent, type CallsEvent } from '../../src/runs/trail-event.ts';
import { intentFor, mintId, openSqlite } from '../support/fill-ledger.ts';

const BEGIN = Date.UTC(2026, 2, 1);

/** A small history with every kind of event, runs interleaved, stored through the port. Answers the run ids. */
export async function storeHistory(home: string): Promise<string[]> {
  const sqlite = openSqlite(home);
  try {
    return await storeHistoryIn(sqlite);
  } finally {
    await sqlite.close();
  }
}

type Ledger = Pick<Records, 'ledger'>;

/** The same through any ledger. */
export async function storeHistoryIn(records: Ledger): Promise<string[]> {
  const [first, second, third] = [mintId(), mintId(), mintId()];
  await request(records, { id: first, at: BEGIN, reason: 'weekly restart', key: 'key-1' });
  await request(records, { id: second, at: BEGIN + 10, reason: 'Prüfung ☂ "quoted"', key: null });
  const at = BEGIN + 100;
  const started = { status: 'running', launched: true, started_at: at };
  await append(records, { kind: 'run_started', run_id: first, at, facts: started, private: {} });
  await append(records, {
    kind: 'run_adopted',
    run_id: second,
    at: at + 1,
    facts: { ...started, 'executor.container': 'c0ffee' },
    private: {},
  });
  await append(records, {
    kind: 'run_cancel_requested',
    run_id: second,
    at: at + 2,
    facts: {},
    private: { cancelled_by: 'ada', cancel_reason: 'wrong window' },
  });
  await append(records, finished(second, { at: at + 3, status: 'cancelled', exit_code: 143 }));
  await append(records, finished(first, { at: at + 4, status: 'success', exit_code: 0 }));
  await append(records, {
    kind: 'run_alias_added',
    run_id: first,
    at: at + 5,
    facts: { alias: { source: 'api', endpoint: null, id: 'api-4711' } },
    private: {},
  });
  await request(records, { id: third, at: at + 6, reason: null, key: null, calls: callsBefore(third, at) });
  return [first, second, third];
}

interface Requested {
  id: string;
  at: number;
  reason: string | null;
  key: string | null;
  calls?: CallsEvent;
}

async function request({ ledger }: Ledger, { id, at, reason, key, calls }: Requested): Promise<void> {
  const intent = intentFor({ id, requested_at: at, display: 'Ada', ...(reason && { reason }) });
  const idempotency = key === null ? null : { scope: 's', key, arguments_digest: 'd', valid_ms: 1_000 };
  const { outcome } = await ledger.request({ ...intent, idempotency, calls: calls ?? null });
  if (outcome !== 'stored') throw new Error(outcome);
}

async function append({ ledger }: Ledger, event: RunEvent): Promise<void> {
  await ledger.append(event);
}

/** What an assistant did before it launched a run: asked in vain, then launched. */
export function callsBefore(run_id: string, at: number): CallsEvent {
  const principal = { kind: 'os', issuer: null, subject: '1:Ada', display: 'Ada' } as const;
  const client = { name: 'chat', version: '1' };
  const common = { at, duration_ms: 3, principal, client };
  return callsEvent(
    [
      { ...common, id: mintId(), tool: 'get_block', outcome: 'refused', code: 'unknown_name', run_id: null, sent: '{"block":"dbb"}' },
      { ...common, id: mintId(), tool: 'run_action', outcome: 'launched', code: null, run_id, client: null, sent: '{}' },
    ],
    { at: at + 1, key: new Uint8Array(32), redact: (text) => text },
  );
} // prettier-ignore

export function finished(
  run_id: string,
  { at, status, exit_code }: { at: number; status: string; exit_code: number },
): RunEvent {
  return {
    kind: 'run_finished',
    run_id,
    at,
    facts: {
      status,
      exit_code,
      finished_at: at,
      duration_ms: 7,
      log: { lines: 2, bytes: 20, sha256: null, gap: null },
    },
    private: { 'log.sha256': 'a'.repeat(64) },
  };
}
