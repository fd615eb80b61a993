import { openLedger } from '../../src/adapters/sqlite/open.ts';
import { createProjection } from '../../src/adapters/sqlite/projection.ts';
import { intentFor } from './fill-ledger.ts';

const BATCH = 5_000;

/** Writes many past runs through the product's own projection, but not durably and thousands to a transaction. */
export function bulkLedger(home: string, count: number): void {
  const { db } = openLedger(home);
  db.pragma('synchronous = OFF');
  const projection = createProjection(db);
  const store = db.transaction((from: number, to: number) => {
    for (let n = from; n < to; n += 1) storeOne(projection, n);
  });
  for (let from = 0; from < count; from += BATCH) store(from, Math.min(count, from + BATCH));
  db.close();
}

function storeOne({ append }: ReturnType<typeof createProjection>, n: number): void {
  const at = Date.UTC(2026, 0, 1) + n * 1_000;
  const failed = n % 9 === 0;
  const { event } = intentFor({
    requested_at: at,
    workspace: `site-${n % 40}`,
    environment: n % 2 ? 'production' : 'test',
    block: `block-${n % 12}`,
    block_version: `1.${n % 7}.0`,
    display: `person-${n % 30}`,
    reason: n % 3 ? null : `change ${n}`,
  });
  append(event);
  const { run_id } = event;
  const started = { status: 'running', launched: true, started_at: at + 20 };
  append({ kind: 'run_started', run_id, at: at + 20, facts: started, private: {} });
  const log = { lines: 40, bytes: 2_000, sha256: null, gap: null };
  const ended = { status: failed ? 'failed' : 'success', exit_code: failed ? 2 : 0, finished_at: at + 900 };
  append({
    kind: 'run_finished',
    run_id,
    at: at + 900,
    facts: { ...started, ...ended, duration_ms: 880, log },
    private: { 'log.sha256': 'ab'.repeat(32) },
  });
}
