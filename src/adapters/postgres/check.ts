import type { Row } from '../../runs/row.ts';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import {
  createCollector,
  type Erased,
  type Finding,
  type Progress,
  type VerifyReport,
  type VerifyTask,
} from '../../ledger/verify.ts';
import type { Pruning } from '../../ledger/prune.ts';
import { beginningOf, checkPruned } from '../../ledger/verify-pruned.ts';
import { createChainCheck } from '../../ledger/verify-chain.ts';
import { checkRun, type Projector } from '../../ledger/verify-projection.ts';
import { checkTrail } from './check-trail.ts';
import type { Database, Query } from './database.ts';
import { readPruned } from './prune.ts';
import { plain } from './plain-text.ts';
import { peopleOf, rowOf } from './projection.ts';

const PAGE = 2_000;

/** What the tables say about a record, booleans as numbers. */
export const projector: Projector = {
  row: (run) => cells(rowOf(run)),
  people: (run) => peopleOf(run).map(({ name, role }) => `${role} ${name}`),
  aliases: (run: ActionRun) => run.aliases.map(({ id }) => plain(id)),
};

function cells({ record: _, version: __, ...row }: Record<string, unknown>): Row {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value]),
  ) as Row;
}

interface Parts {
  query: Query;
  task: VerifyTask;
  pruning: Pruning | null;
  found: (finding: Finding) => void;
  onProgress: (progress: Progress) => void;
}

/** Reads the whole ledger, or what came after `from`, in one snapshot while others go on writing; page by page. */
export async function verify(
  db: Database,
  task: VerifyTask,
  onProgress: (progress: Progress) => void,
): Promise<VerifyReport> {
  return db.alone(async (query) => {
    await query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // A page of a large ledger may take its time; the snapshot holds up nobody.
    await query(
      "SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)",
    );
    const findings = createCollector<Finding>();
    const erased = createCollector<Erased>();
    const pruned = await readPruned(query);
    const { pruning } = pruned;
    const from = beginningOf(task.from, pruning);
    const parts: Parts = { query, task: { ...task, from }, pruning, found: findings.add, onProgress };
    if (!from) await checkTriggers(parts);
    checkPruned(pruned, task.known, findings.add);
    const { state, ...counts } = await checkEvents(parts, erased.add);
    const runs = await checkRuns(parts);
    await checkTrail(query, Number(from?.size ?? 0), { stream, found: parts.found });
    await query('COMMIT');
    return {
      ...state,
      checked: { ...counts, runs },
      findings: findings.list,
      findings_total: findings.total(),
      erased: erased.list,
      erased_total: erased.total(),
      pruning,
      from: from?.size ?? 0,
    };
  });
}

const TRIGGERS = ['events_never_change', 'event_private_never_changes'];

async function checkTriggers({ query, found }: Parts): Promise<void> {
  // 'A': fires always, also where a session calls itself a replica.
  const rows = await query<{ tgname: string }>(
    `SELECT tgname::text FROM pg_trigger WHERE tgenabled = 'A'
     AND tgrelid IN ('events'::regclass, 'event_private'::regclass)`,
  );
  for (const name of TRIGGERS.filter((wanted) => !rows.some(({ tgname }) => tgname === wanted))) {
    found({
      fault: 'storage',
      says: `the trigger ${name}, which refuses changes of events, is gone or switched off`,
    });
  }
}

/** Rows of a statement in pages; `name` is the cursor's, ours and not from outside. */
export async function* stream<R extends object>(
  query: Query,
  name: string,
  statement: string,
): AsyncGenerator<R> {
  await query(`DECLARE ${name} NO SCROLL CURSOR FOR ${statement}`);
  for (;;) {
    const rows = await query<R>(`FETCH ${PAGE} FROM ${name}`);
    yield* rows;
    if (rows.length < PAGE) break;
  }
  await query(`CLOSE ${name}`);
}

const EVENT = 'seq, at, kind, run_id, facts, commitments, prev, hash';

async function checkEvents(
  { query, task, pruning, found, onProgress }: Parts,
  erased: (erased: Erased) => void,
): Promise<{ state: ReturnType<ReturnType<typeof createChainCheck>['end']>; events: number; private_values: number }> {
  const { from, known } = task;
  const [newest] = await query<{ last: number }>('SELECT coalesce(max(seq), 0) AS last FROM events');
  const last = newest!.last;
  const chain = createChainCheck({ from: from ?? pruning, known, found, erased });
  if (from && from.size > 0) {
    const [event] = await query<StoredEvent>(`SELECT ${EVENT} FROM events WHERE seq = $1`, [from.size]);
    chain.start(event ?? null, last);
  }
  const scope = from ? `WHERE seq > ${Number(from.size)}` : '';
  const values = stream<StoredValue>(query, 'own_values', `SELECT seq, name, salt, value FROM event_private ${scope} ORDER BY seq, name`);
  let next = await values.next();
  const counts = { events: 0, private_values: 0 };
  for await (const event of stream<StoredEvent>(query, 'all_events', `SELECT ${EVENT} FROM events ${scope} ORDER BY seq`)) {
    const own: StoredValue[] = [];
    for (; !next.done && next.value.seq <= event.seq; next = await values.next()) {
      counts.private_values += 1;
      if (next.value.seq === event.seq) own.push(next.value);
      else chain.stray(next.value);
    }
    chain.event(event, own);
    counts.events += 1;
    if (counts.events % PAGE === 0) onProgress({ step: 'events', done: event.seq, total: last });
  }
  for (; !next.done; next = await values.next()) chain.stray(next.value);
  return { state: chain.end(), ...counts };
} // prettier-ignore

/** Everything that any table has about one run, in one row. */
interface StoredRun {
  run_id: string;
  events: (StoredEvent & { values: { name: string; value: string }[] })[] | null;
  row: Record<string, unknown> | null;
  people: string[] | null;
  aliases: string[] | null;
  requests: number[] | null;
}

/** Rebuilds each run, and each that a table names although no event does. Answers how many there were. */
async function checkRuns({ query, task, found, onProgress }: Parts): Promise<number> {
  const after = Number(task.from?.size ?? 0);
  const [count] = await query<{ total: number }>('SELECT count(*) AS total FROM runs');
  let done = 0;
  for await (const stored of stream<StoredRun>(query, 'all_runs', runsStatement(after))) {
    const { run_id, events, row, people, aliases, requests } = stored;
    const parts = {
      run_id,
      events: (events ?? []).map(({ values, ...event }) => ({ event, values })),
      row: row && cells(row),
      record: row ? String(row['record']) : null,
      people: people ?? [],
      aliases: aliases ?? [],
      requests: requests ?? [],
    };
    checkRun(parts, projector, found);
    done += 1;
    if (done % PAGE === 0) onProgress({ step: 'runs', done, total: count!.total });
  }
  return done;
}

function runsStatement(after: number): string {
  const ids =
    after === 0
      ? `SELECT run_id FROM events WHERE run_id <> '' UNION SELECT id FROM runs UNION SELECT run_id FROM run_people
         UNION SELECT run_id FROM run_aliases UNION SELECT run_id FROM requests`
      : `SELECT DISTINCT run_id FROM events WHERE run_id <> '' AND seq > ${after}`;
  return `SELECT i.run_id,
    (SELECT json_agg(json_build_object('seq', e.seq, 'at', e.at, 'kind', e.kind, 'run_id', e.run_id, 'facts', e.facts,
       'commitments', e.commitments, 'prev', e.prev, 'hash', e.hash, 'values', (
         SELECT coalesce(json_agg(json_build_object('name', p.name, 'value', p.value)), '[]')
         FROM event_private p WHERE p.seq = e.seq)) ORDER BY e.seq)
     FROM events e WHERE e.run_id = i.run_id AND e.run_id <> '') AS events,
    (SELECT to_json(r) FROM runs r WHERE r.id = i.run_id) AS row,
    (SELECT json_agg(n.role || ' ' || n.name) FROM run_people n WHERE n.run_id = i.run_id) AS people,
    (SELECT json_agg(a.alias) FROM run_aliases a WHERE a.run_id = i.run_id) AS aliases,
    (SELECT json_agg(k.at) FROM requests k WHERE k.run_id = i.run_id) AS requests
    FROM (${ids}) AS i ORDER BY i.run_id`;
}
