import { randomUUID } from 'node:crypto';
import type { ProcessIdentity } from '../../shared/ports.ts';
import type { ActionRun, RunEvent } from '../../runs/action-run.ts';
import { applyEvent } from '../../runs/fold.ts';
import {
  NEW_SUBMISSION,
  type Outbox,
  type OutboxStanding,
  type Submission,
  type SubmissionGuard,
  type SubmissionState,
} from '../../runs/outbox.ts';
import type { Database } from './database.ts';
import { ownerText } from './leases.ts';
import { documentOf } from './projection.ts';

interface OutboxRow extends Omit<Submission, keyof SubmissionState | 'owner'> {
  due_at: number;
  state: string;
  owner: string;
}

const DUE =
  "SELECT * FROM outbox WHERE phase <> 'dead' AND due_at <= $1 AND endpoint = ANY($3) ORDER BY due_at, run_id LIMIT $2";
const LIST = 'SELECT * FROM outbox ORDER BY created_at, run_id LIMIT $1';
const ONE = 'SELECT * FROM outbox WHERE run_id = $1';
const DEAD = "SELECT * FROM outbox WHERE phase = 'dead' ORDER BY run_id";
const STANDING = `SELECT count(*) FILTER (WHERE phase <> 'dead') AS waiting, count(*) FILTER (WHERE phase = 'dead') AS dead,
  min(created_at) AS oldest_at FROM outbox`;

/** Reports that are still to be delivered. */
export function createOutbox(db: Database): Outbox {
  return {
    due: async (now, limit, endpoints) => (await db.read<OutboxRow>(DUE, [now, limit, endpoints])).map(whole),
    list: async (limit) => (await db.read<OutboxRow>(LIST, [limit])).map(whole),
    find,
    async take(seen, { owner, lease_until, unsure }) {
      const now = await find(seen.run_id);
      if (!now || now.fence !== seen.fence) return null;
      const state = JSON.stringify({ ...stateOf(now), unsure });
      const values = [seen.run_id, seen.fence, ownerText(owner), lease_until, state, randomUUID()];
      const [row] = await db.write<OutboxRow>('SELECT * FROM ledger_outbox_take($1, $2, $3, $4, $5, $6)', values);
      return row ? whole(row) : null;
    },
    settle: (guard, next, event) => settle(db, guard, { next, event }),
    async retry(run_ids, now) {
      let revived = 0;
      for (const row of await db.read<OutboxRow>(DEAD)) {
        if (run_ids !== null && !run_ids.includes(row.run_id)) continue;
        const state = JSON.parse(row.state) as SubmissionState;
        const phase = state.remote ? 'started' : 'one_shot';
        const next = JSON.stringify({ ...state, phase, attempts: 0, due_at: now });
        const values = [row.run_id, row.fence, phase, now, next];
        const [done] = await db.write<{ done: boolean }>('SELECT ledger_outbox_revive($1, $2, $3, $4, $5) AS done', values);
        revived += done!.done ? 1 : 0;
      }
      return revived;
    },
    standing: async () => (await db.read<OutboxStanding>(STANDING))[0]!,
  };

  async function find(run_id: string): Promise<Submission | null> {
    const [row] = await db.read<OutboxRow>(ONE, [run_id]);
    return row ? whole(row) : null;
  }
} // prettier-ignore

interface Outcome {
  next: SubmissionState | null;
  event: RunEvent | null;
}

/** The record after the event is computed here, from a record whose version the database then insists on. */
async function settle(
  db: Database,
  { run_id, fence }: SubmissionGuard,
  { next, event }: Outcome,
): Promise<boolean> {
  const token = randomUUID();
  for (;;) {
    const [row] = await db.read<{ record: string; version: number }>(
      'SELECT record, version FROM runs WHERE id = $1',
      [run_id],
    );
    const run = row && (JSON.parse(row.record) as ActionRun);
    const [answer] = await db.write<{ outcome: 'stored' | 'stale' | 'lost' }>(
      'SELECT ledger_outbox_settle($1, $2, $3, $4, $5) AS outcome',
      [
        run_id,
        fence,
        next && JSON.stringify({ phase: next.phase, due_at: next.due_at, state: JSON.stringify(next) }),
        run && event ? documentOf(event, { token, run: applyEvent(run, event) }) : null,
        row?.version ?? null,
      ],
    );
    if (answer!.outcome !== 'stale') return answer!.outcome === 'stored';
  }
}

/** What `ledger_outbox_add` takes. */
export function newSubmission({ endpoint }: { endpoint: string }): string {
  const { phase, due_at } = NEW_SUBMISSION;
  return JSON.stringify({ endpoint, phase, due_at, state: JSON.stringify(NEW_SUBMISSION) });
}

function stateOf(submission: SubmissionState): SubmissionState {
  const { phase, due_at, remote, unsure, attempts, problem, conflict } = submission;
  return { phase, due_at, remote, unsure, attempts, problem, conflict };
}

function whole({ state, owner, run_id, endpoint, due_at, created_at, lease_until, fence }: OutboxRow): Submission {
  const parsed = owner === '' ? null : (JSON.parse(owner) as ProcessIdentity);
  return { ...(JSON.parse(state) as SubmissionState), run_id, endpoint, due_at, created_at, owner: parsed, lease_until, fence };
} // prettier-ignore
