import { randomUUID } from 'node:crypto';
import { AppError } from '../../shared/errors.ts';
import { comesTooLate, type ActionRun, type RunEvent } from '../../runs/action-run.ts';
import { applyEvent } from '../../runs/fold.ts';
import { judgeAnswer, type Answer } from '../../runs/approval.ts';
import { keyFor } from '../../runs/ledger-key.ts';
import {
  QUOTA_WINDOW_MS,
  type Intent,
  type IntentRequest,
  type LeaseChange,
  type LeaseGuard,
  type Replay,
  type RunLedger,
  type RunProof,
  type WriteId,
} from '../../runs/run-ledger.ts';
import { TOTAL_RUNS } from '../sql/cubes.ts';
import type { Database } from './database.ts';
import { isUnknown } from './failures.ts';
import { ownerText } from './leases.ts';
import { createNotes, type Notes } from './notes.ts';
import { newSubmission } from './outbox.ts';
import { plain } from './plain-text.ts';
import { callsDocumentOf, documentOf } from './projection.ts';
import { problemOf, SCHEMA_VERSION } from './schema.ts';
import { tellerText } from './untold.ts';
import type { Withdrawals } from '../../runs/withdrawals.ts';

// prettier-ignore
const REQUEST = 'SELECT * FROM ledger_request($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)';
const APPEND = 'SELECT * FROM ledger_append($1, $2, $3, $4, $5, $6)';
const KNOWN = `SELECT k.run_id, k.arguments_digest, k.at, k.valid_ms, r.record
  FROM requests k JOIN runs r ON r.id = k.run_id WHERE k.scope = $1 AND k.key = $2`;
const STATUS = `SELECT ${TOTAL_RUNS} AS total,
  (SELECT count(*) FROM runs WHERE status IN ('pending', 'running')) AS open,
  (SELECT coalesce(max(seq), 0) FROM events) AS events,
  (SELECT at FROM events WHERE run_id <> '' ORDER BY seq DESC LIMIT 1) AS newest_at,
  (SELECT at FROM events ORDER BY seq LIMIT 1) AS oldest_at,
  (SELECT max(version) FROM ledger_schema) AS schema`;

type Key = NonNullable<IntentRequest['idempotency']>;

/** What an idempotency key stands for, as the database has it. */
interface KnownRequest {
  run_id: string;
  record: string;
  arguments_digest: string;
  at: number;
  valid_ms: number;
}

interface RequestRow extends KnownRequest {
  outcome: 'stored' | 'there' | 'known' | 'active' | 'limited' | 'burnt' | 'newer';
}

/** The records on an open database. Every write is one statement that may be repeated: it finds itself by its token. */
export function createLedger(db: Database, withdrawals: Withdrawals): RunLedger {
  let key: Promise<Uint8Array> | null = null;
  const notes = createNotes(db);
  return {
    request: (intent) => request(db, withdrawals, intent),
    append: (event, guard, change, write_id) => append(db, event, { guard, change, write_id }),
    async withdraw(write_id) {
      await db.write('SELECT ledger_withdraw($1)', [write_id]);
    },
    answer: (given) => answer(db, given),
    async replay(wanted, now) {
      const [row] = await db.read<KnownRequest>(KNOWN, [plain(wanted.scope), plain(wanted.key)]);
      return row ? replayOf(row, wanted, now) : null;
    },
    find: (id) => find(db, plain(id)),
    proof: (run_id) => proof(db, notes, run_id),
    async status() {
      const [rows, id, { verification, anchor, anchor_problem }] = await Promise.all([
        db.read<Record<'total' | 'open' | 'events' | 'newest_at' | 'oldest_at' | 'schema', number>>(STATUS),
        notes.ledgerId(),
        notes.notes(),
      ]);
      const { total, open, events, newest_at, oldest_at, schema } = rows[0]!;
      const problem = problemOf(schema);
      const writable = problem === null;
      return { id, kind: 'postgres', location: db.location, runs: { total, open }, events, newest_at, oldest_at, schema, writable, problem, verification, anchor, anchor_problem };
    },
    async key(use) {
      key ??= db.read<{ key: Buffer }>('SELECT key FROM ledger_key').then(([row]) => new Uint8Array(row!.key));
      key.catch(() => (key = null));
      return keyFor(use ?? null, await key);
    },
  };
} // prettier-ignore

async function request(db: Database, withdrawals: Withdrawals, intent: IntentRequest): Promise<Intent> {
  const { event, lease, idempotency, untold, exclusive, burn, quota, calls, submission } = intent;
  const token = intent.write_id ?? randomUUID();
  const values = [
    SCHEMA_VERSION,
    documentOf(event, { token, run: applyEvent(null, event) }),
    JSON.stringify({ ...lease, owner: ownerText(lease.owner) }),
    idempotency && JSON.stringify({ ...idempotency, scope: plain(idempotency.scope), key: plain(idempotency.key) }),
    exclusive,
    burn && JSON.stringify(burn),
    calls && callsDocumentOf(calls, randomUUID()),
    untold && JSON.stringify({ ...untold, teller: tellerText(untold.teller) }),
    submission ? newSubmission(submission) : null,
    quota ? JSON.stringify({ ...quota, rule: plain(quota.rule), window_ms: QUOTA_WINDOW_MS }) : null,
  ];
  try {
    const [row] = await db.write<RequestRow>(REQUEST, values);
    return intentOf(row!, intent);
  } catch (error) {
    // Nobody will launch it: should it have been stored, whoever looks for orphans closes it as not launched.
    if (isUnknown(error)) withdrawals.add(token);
    throw error;
  }
} // prettier-ignore

function intentOf(row: RequestRow, { idempotency, event, quota }: IntentRequest): Intent {
  switch (row.outcome) {
    case 'stored':
      return { outcome: 'stored', run: runOf(row), fence: 1 };
    case 'there':
      return { outcome: 'replayed', run: runOf(row), age_ms: Math.max(0, event.at - row.at) };
    case 'known':
      return replayOf(row, idempotency!, event.at);
    case 'active':
      return { outcome: 'active', run_id: row.run_id };
    case 'limited': {
      const what = row.run_id as 'concurrency' | 'per_hour';
      return { outcome: 'limited', rule: quota!.rule, what, most: quota![what]! };
    }
    case 'burnt':
      return { outcome: 'burnt' };
    case 'newer':
      throw new AppError('ledger_unavailable', `nothing was launched: ${problemOf(row.at)}`);
  }
}

function replayOf(row: KnownRequest, wanted: Key, now: number): Replay {
  const expired = now - row.at > row.valid_ms;
  if (expired || row.arguments_digest !== wanted.arguments_digest) {
    return { outcome: 'key_reused', run_id: row.run_id, expired };
  }
  return { outcome: 'replayed', run: runOf(row), age_ms: Math.max(0, now - row.at) };
}

interface Conditions {
  guard: LeaseGuard | undefined;
  change: LeaseChange | undefined;
  write_id: WriteId | undefined;
}

/** The record after an event is computed here, from a record whose version the database then insists on. */
async function append(
  db: Database,
  event: RunEvent,
  { guard, change, write_id = randomUUID() }: Conditions,
): Promise<ActionRun> {
  const token = write_id;
  for (;;) {
    const before = await read(db, event.run_id);
    const closed = before && comesTooLate(before.run, event);
    const [row] = await db.write<{ outcome: 'stored' | 'stale' | 'lease_lost'; record: string }>(APPEND, [
      event.run_id,
      closed ? null : documentOf(event, { token, run: applyEvent(before?.run ?? null, event) }),
      before?.version ?? null,
      event.kind === 'run_cancel_requested',
      guard?.fence ?? null,
      guard && change ? JSON.stringify(change) : null,
    ]);
    if (row!.outcome === 'stored') return runOf(row!);
    if (row!.outcome === 'lease_lost') {
      throw new AppError('lease_lost', `run ${event.run_id} is supervised by another process now`);
    }
    // Another event of this run came in between: once more, on top of it.
  }
}

/** Judged on a record whose version the database insists on, so that it is the one that the answer is stored on. */
async function answer(db: Database, given: Answer): ReturnType<RunLedger['answer']> {
  const token = randomUUID();
  for (;;) {
    const before = await read(db, given.run_id);
    const judged = judgeAnswer(before?.run ?? null, given);
    if ('refused' in judged) return judged;
    const { run, version } = before!;
    const document = documentOf(judged.event, { token, run: applyEvent(run, judged.event) });
    const values = [given.run_id, document, version, false, null, null];
    const [row] = await db.write<{ outcome: 'stored' | 'stale'; record: string }>(APPEND, values);
    if (row!.outcome === 'stored') return { run: runOf(row!) };
  }
}

async function read(db: Database, id: string): Promise<{ run: ActionRun; version: number } | null> {
  const [row] = await db.read<{ record: string; version: number }>('SELECT record, version FROM runs WHERE id = $1', [id]);
  return row ? { run: runOf(row), version: row.version } : null;
} // prettier-ignore

async function find(db: Database, id: string): Promise<ActionRun | null> {
  const [row] = await db.read<{ record: string }>(
    `SELECT record FROM runs WHERE id = $1 OR id = (SELECT run_id FROM run_aliases WHERE alias = $1 LIMIT 1)
     ORDER BY id <> $1 LIMIT 1`,
    [id],
  );
  if (row) return runOf(row);
  if (!/^[0-9a-f-]{8,35}$/.test(id)) return null;
  const candidates = await db.read<{ record: string }>(
    'SELECT record FROM runs WHERE id >= $1 AND id < $2 LIMIT 2',
    [id, `${id}g`],
  );
  return candidates.length === 1 ? runOf(candidates[0]!) : null;
}

async function proof(db: Database, notes: Notes, run_id: string): Promise<RunProof | null> {
  const [events, [head], { verification }] = await Promise.all([
    db.read<{ seq: number; hash: string }>(
      `SELECT seq, hash FROM events WHERE run_id = $1 OR seq IN (SELECT seq FROM mirrored WHERE run_id = $1) ORDER BY seq`,
      [run_id],
    ),
    db.read<{ seq: number; hash: string }>('SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1'),
    notes.notes(),
  ]);
  const last = events.at(-1);
  if (!last || !head) return null;
  const reached = verification !== null && verification.up_to >= last.seq;
  return { events, head, verified: reached ? verification : null };
}

function runOf({ record }: { record: string }): ActionRun {
  return JSON.parse(record) as ActionRun;
}
