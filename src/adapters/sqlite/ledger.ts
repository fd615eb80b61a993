import { comesTooLate, type ActionRun, type RunEvent } from '../../runs/action-run.ts';
import { judgeAnswer, type Answer, type Refusal } from '../../runs/approval.ts';
import type {
  Intent,
  IntentRequest,
  LeaseChange,
  LeaseGuard,
  LedgerStatus,
  Promotion,
  Replay,
  RunProof,
  WriteId,
} from '../../runs/run-ledger.ts';
import { EXCLUSIVE_SQL } from '../../ledger/known-runs.ts';
import { TOTAL_RUNS } from '../sql/cubes.ts';
import { refuseWrite, type OpenLedger } from './open.ts';
import { createProjection, type Projection } from './projection.ts';
import { createNotes } from './notes.ts';
import { createCallWriter } from './trail.ts';
import { createLeaseTable, type LeaseTable } from './lease-table.ts';
import { createQuotaTable } from './quota-table.ts';
import { createOutboxTable, type OutboxTable } from './outbox-table.ts';
import { createUntoldTable, type UntoldTable } from './untold-table.ts';
import { createWritesTable } from './writes-table.ts';

type Key = NonNullable<IntentRequest['idempotency']>;

/** The synchronous ledger that lives in a worker; methods mirror the ports of the core. */
export interface SyncLedger {
  request(intent: IntentRequest): Intent;
  replay(key: Key, now: number): Replay | null;
  append(event: RunEvent, guard?: LeaseGuard, change?: LeaseChange, write_id?: WriteId): ActionRun;
  withdraw(write_id: WriteId): void;
  answer(answer: Answer): { run: ActionRun } | { refused: Refusal };
  promote(guard: LeaseGuard, to: Promotion): { active: string } | null;
  find(id: string): ActionRun | null;
  status(): LedgerStatus;
  key(): Uint8Array;
  proof(run_id: string): RunProof | null;
  leases: LeaseTable;
  untold: UntoldTable;
  outbox: OutboxTable;
}

export function createSyncLedger(open: OpenLedger): SyncLedger {
  const { db } = open;
  const projection = createProjection(db);
  const writes = createWritesTable(db);
  const leases = createLeaseTable(db, writes);
  const untold = createUntoldTable(db);
  const outbox = createOutboxTable(db, projection);
  const requests = createRequests(open, projection);
  const quotas = createQuotaTable(db);
  const recordCalls = createCallWriter(db);

  const request = db.transaction((intent: IntentRequest): Intent => {
    refuseWrite(open, 'nothing was launched');
    const now = intent.event.at;
    const isStored = writes.seen(intent.write_id);
    const there = projection.read(intent.event.run_id);
    if (there && isStored) return { outcome: 'stored', run: there, fence: 1 };
    if (there) return { outcome: 'replayed', run: there, age_ms: Math.max(0, now - there.requested_at) };
    const earlier = intent.idempotency && requests.replay(intent.idempotency, now);
    if (earlier) return earlier;
    if (intent.exclusive) {
      const active = requests.active(intent.event, intent.lease.executor === 'approval');
      if (active) return { outcome: 'active', run_id: active };
    }
    const exceeded = intent.quota && quotas.exceeded(intent.quota, now);
    if (exceeded) return exceeded;
    if (intent.burn && !requests.burn(intent.burn, now)) return { outcome: 'burnt' };
    if (intent.calls) recordCalls(intent.calls);
    const run = projection.append(intent.event);
    if (intent.idempotency) requests.remember(intent.idempotency, run.id, now);
    if (intent.quota) quotas.add({ run_id: run.id, at: now }, intent.quota);
    if (intent.untold) untold.add({ run_id: run.id, at: now }, intent.untold);
    if (intent.submission) outbox.add({ run_id: run.id, at: now }, intent.submission);
    leases.create(intent.lease);
    writes.note(intent.write_id, { run_id: run.id, fence: 1 });
    return { outcome: 'stored', run, fence: 1 };
  });

  const append: SyncLedger['append'] = (event, guard, change, write_id) => {
    if (writes.seen(write_id)) return projection.read(event.run_id)!;
    if (guard) leases.hold(guard);
    const before = projection.read(event.run_id);
    const run = before && comesTooLate(before, event) ? before : projection.append(event);
    outbox.wake(event);
    if (event.kind === 'run_cancel_requested') leases.requestCancel(event.run_id);
    if (guard && change) leases.change(guard, change);
    writes.note(write_id, null);
    return run;
  };
  const appendWhole = db.transaction(append);

  const withdraw = db.transaction((write_id: WriteId): void => {
    const lease = writes.withdraw(write_id);
    if (lease) leases.give(lease, 'release');
  });

  const answer = db.transaction((given: Answer): { run: ActionRun } | { refused: Refusal } => {
    const judged = judgeAnswer(projection.read(given.run_id), given);
    return 'refused' in judged ? judged : { run: projection.append(judged.event) };
  });

  const promote = db.transaction(
    (guard: LeaseGuard, { executor, alone }: Promotion): { active: string } | null => {
      leases.hold(guard);
      const run = alone && projection.read(guard.run_id);
      const active = run ? requests.active({ run_id: run.id, facts: { ...run } }, false) : null;
      if (active) return { active };
      leases.become(guard, executor);
      return null;
    },
  );

  return {
    answer: (given) => answer.immediate(given),
    promote: (guard, to) => promote.immediate(guard, to),
    request: (intent) => request.immediate(intent),
    replay: (key, now) => requests.replay(key, now),
    append: (event, guard, change, write_id) => appendWhole.immediate(event, guard, change, write_id),
    withdraw: (write_id) => withdraw.immediate(write_id),
    find: createFind(open, projection),
    status: createStatus(open),
    key: () => open.key,
    proof: createProof(open),
    leases,
    untold,
    outbox,
  };
}

interface Requests {
  replay(key: Key, now: number): Replay | null;
  remember(key: Key, run_id: string, now: number): void;
  /** Another open run of the same; those that wait for approval count only where `waiting`. */
  active(run: { run_id: string; facts: Record<string, unknown> }, waiting: boolean): string | null;
  /** False: burnt before. */
  burn(mark: { nonce: string; expires_at: number }, now: number): boolean;
}

const NOT_WAITING = `(? OR NOT EXISTS (SELECT 1 FROM leases WHERE leases.run_id = runs.id AND leases.executor = 'approval'))`;

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
       AND status IN ('pending', 'running') AND source IN (${EXCLUSIVE_SQL}) AND id <> ? AND ${NOT_WAITING} ORDER BY requested_at LIMIT 1`,
    )
    .pluck();
  const selectActiveWorkflow = db
    .prepare(
      `SELECT id FROM runs WHERE workspace = ? AND organization IS ? AND kind = 'workflow'
       AND json_extract(record, '$.workflow') = ? AND status IN ('pending', 'running') AND id <> ? AND ${NOT_WAITING}
       ORDER BY requested_at LIMIT 1`,
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
    active({ run_id, facts }, waiting) {
      const [select, name] =
        facts['kind'] === 'workflow'
          ? [selectActiveWorkflow, facts['workflow']]
          : [selectActive, facts['block']];
      const found = select.get(facts['workspace'], facts['organization'], name, run_id, waiting ? 1 : 0);
      return (found as string | undefined) ?? null;
    },
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
    `SELECT ${TOTAL_RUNS} AS total,
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
  const own = db.prepare(
    `SELECT seq, hash FROM events WHERE run_id = @run_id
       OR seq IN (SELECT seq FROM mirrored WHERE run_id = @run_id) ORDER BY seq`,
  );
  const newest = db.prepare('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1');
  const notes = createNotes(db);
  return (run_id) => {
    const events = own.all({ run_id }) as RunProof['events'];
    const last = events.at(-1);
    if (!last) return null;
    const { verification } = notes.notes();
    const reached = verification !== null && verification.up_to >= last.seq;
    return { events, head: newest.get() as RunProof['head'], verified: reached ? verification : null };
  };
}
