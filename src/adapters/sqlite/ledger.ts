import { isOpen, type ActionRun, type RunEvent } from '../../runs/action-run.ts';
import type {
  Intent,
  IntentRequest,
  LeaseChange,
  LeaseGuard,
  LedgerStatus,
  Replay,
  RunProof,
} from '../../runs/run-ledger.ts';
import { refuseWrite, type OpenLedger } from './open.ts';
import { createProjection, type Projection } from './projection.ts';
import { createNotes } from './notes.ts';
import { createCallWriter } from './trail.ts';
import { createLeaseTable, type LeaseTable } from './lease-table.ts';
import { createUntoldTable, type UntoldTable } from './untold-table.ts';

type Key = NonNullable<IntentRequest['idempotency']>;

/** The synchronous ledger that lives in a worker; methods mirror the ports of the core. */
export interface SyncLedger {
  request(intent: IntentRequest): Intent;
  replay(key: Key, now: number): Replay | null;
  append(event: RunEvent, guard?: LeaseGuard, change?: LeaseChange): ActionRun;
  find(id: string): ActionRun | null;
  status(): LedgerStatus;
  key(): Uint8Array;
  proof(run_id: string): RunProof | null;
  leases: LeaseTable;
  untold: UntoldTable;
}

export function createSyncLedger(open: OpenLedger): SyncLedger {
  const { db } = open;
  const projection = createProjection(db);
  const leases = createLeaseTable(db);
  const untold = createUntoldTable(db);
  const requests = createRequests(open, projection);
  const recordCalls = createCallWriter(db);

  const request = db.transaction((intent: IntentRequest): Intent => {
    refuseWrite(open, 'nothing was launched');
    const now = intent.event.at;
    const earlier = intent.idempotency && requests.replay(intent.idempotency, now);
    if (earlier) return earlier;
    if (intent.exclusive) {
      const active = requests.active(intent.event);
      if (active) return { outcome: 'active', run_id: active };
    }
    if (intent.burn && !requests.burn(intent.burn, now)) return { outcome: 'burnt' };
    if (intent.calls) recordCalls(intent.calls);
    const run = projection.append(intent.event);
    if (intent.idempotency) requests.remember(intent.idempotency, run.id, now);
    if (intent.untold) untold.add({ run_id: run.id, at: now }, intent.untold);
    leases.create(intent.lease);
    return { outcome: 'stored', run, fence: 1 };
  });

  const append = db.transaction((event: RunEvent, guard?: LeaseGuard, change?: LeaseChange): ActionRun => {
    if (guard) leases.hold(guard);
    const before = projection.read(event.run_id);
    const run =
      before && !isOpen(before) && event.kind !== 'run_alias_added' ? before : projection.append(event);
    if (event.kind === 'run_cancel_requested') leases.requestCancel(event.run_id);
    if (guard && change) leases.change(guard, change);
    return run;
  });

  return {
    request: (intent) => request.immediate(intent),
    replay: (key, now) => requests.replay(key, now),
    append: (event, guard, change) => append.immediate(event, guard, change),
    find: createFind(open, projection),
    status: createStatus(open),
    key: () => open.key,
    proof: createProof(open),
    leases,
    untold,
  };
}

interface Requests {
  replay(key: Key, now: number): Replay | null;
  remember(key: Key, run_id: string, now: number): void;
  active(event: RunEvent): string | null;
  /** False: burnt before. */
  burn(mark: { nonce: string; expires_at: number }, now: number): boolean;
}

function createRequests({ db }: OpenLedger, projection: Projection): Requests {
  const selectKey = db.prepare(
    'SELECT arguments_digest, run_id, at, valid_ms FROM requests WHERE scope = ? AND key = ?',
  );
  const insertKey = db.prepare(
    'INSERT INTO requests (scope, key, arguments_digest, run_id, at, valid_ms) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const selectActive = db
    .prepare(
      `SELECT id FROM runs WHERE workspace = ? AND organization IS ? AND block = ? AND kind = 'action'
       AND status IN ('pending', 'running') ORDER BY requested_at LIMIT 1`,
    )
    .pluck();
  const sweepBurnt = db.prepare('DELETE FROM burnt WHERE expires_at < ?');
  const insertBurnt = db.prepare('INSERT OR IGNORE INTO burnt (nonce, expires_at) VALUES (?, ?)');
  return {
    replay(key, now) {
      const row = selectKey.get(key.scope, key.key) as
        { arguments_digest: string; run_id: string; at: number; valid_ms: number } | undefined;
      if (!row) return null;
      const expired = now - row.at > row.valid_ms;
      if (expired || row.arguments_digest !== key.arguments_digest) {
        return { outcome: 'key_reused', run_id: row.run_id, expired };
      }
      return { outcome: 'replayed', run: projection.read(row.run_id)!, age_ms: Math.max(0, now - row.at) };
    },
    remember: (key, run_id, now) =>
      void insertKey.run(key.scope, key.key, key.arguments_digest, run_id, now, key.valid_ms),
    active: ({ facts }) =>
      (selectActive.get(facts['workspace'], facts['organization'], facts['block']) as string | undefined) ??
      null,
    burn(mark, now) {
      sweepBurnt.run(now);
      return insertBurnt.run(mark.nonce, mark.expires_at).changes === 1;
    },
  };
}

function createFind({ db }: OpenLedger, projection: Projection): (id: string) => ActionRun | null {
  const byAlias = db.prepare('SELECT run_id FROM run_aliases WHERE alias = ? LIMIT 1').pluck();
  const byPrefix = db.prepare('SELECT id FROM runs WHERE id >= ? AND id < ? LIMIT 2').pluck();
  return (id) => {
    const run = projection.read(id);
    if (run) return run;
    const alias = byAlias.get(id) as string | undefined;
    if (alias) return projection.read(alias);
    if (!/^[0-9a-f-]{8,35}$/.test(id)) return null;
    const candidates = byPrefix.all(id, `${id}g`) as string[];
    return candidates.length === 1 ? projection.read(candidates[0]!) : null;
  };
}

function createStatus({ db, file, schema, writable, problem }: OpenLedger): () => LedgerStatus {
  const counts = db.prepare(
    `SELECT (SELECT count(*) FROM runs) AS total,
            (SELECT count(*) FROM runs WHERE status IN ('pending', 'running')) AS open,
            (SELECT coalesce(max(seq), 0) FROM events) AS events,
            (SELECT at FROM events WHERE run_id <> '' ORDER BY seq DESC LIMIT 1) AS newest_at,
            (SELECT at FROM events ORDER BY seq LIMIT 1) AS oldest_at`,
  );
  const notes = createNotes(db);
  return () => {
    const { verification, anchor, anchor_problem } = notes.notes();
    const { total, open, events, newest_at, oldest_at } = counts.get() as Record<string, number | null>;
    return {
      id: notes.ledgerId(),
      kind: 'sqlite',
      location: file,
      runs: { total: total ?? 0, open: open ?? 0 },
      events: events ?? 0,
      newest_at: newest_at ?? null,
      oldest_at: oldest_at ?? null,
      schema,
      writable,
      problem,
      verification,
      anchor,
      anchor_problem,
    };
  };
}

function createProof({ db }: OpenLedger): (run_id: string) => RunProof | null {
  const own = db.prepare('SELECT seq, hash FROM events WHERE run_id = ? ORDER BY seq');
  const newest = db.prepare('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1');
  const notes = createNotes(db);
  return (run_id) => {
    const events = own.all(run_id) as RunProof['events'];
    const last = events.at(-1);
    if (!last) return null;
    const { verification } = notes.notes();
    const reached = verification !== null && verification.up_to >= last.seq;
    return { events, head: newest.get() as RunProof['head'], verified: reached ? verification : null };
  };
}
