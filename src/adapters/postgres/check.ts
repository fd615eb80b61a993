import type { Cell, Row } from '../../runs/row.ts';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
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
import { checkRun } from '../../ledger/verify-projection.ts';
import { checkMirror } from './check-mirror.ts';
import { TOTAL_RUNS } from '../sql/cubes.ts';
import { checkCounts } from './check-counts.ts';
import { checkTrail } from './check-trail.ts';
import type { Database, Query } from './database.ts';
import { stream } from './stream.ts';
import { readPruned } from './prune.ts';
import type { MirroredRow } from '../../ledger/mirrored-row.ts';
import { NARROW_COLUMNS, PLAIN_COLUMNS, TERM_COLUMNS } from '../sql/narrow.ts';
import { lostTrigger, missingTriggers } from './check-triggers.ts';
import { RUN_COLUMNS } from './projection.ts';
import { projector, textOf } from './projector.ts';
import { verifyInPieces, type Beside } from './quick-check.ts';
import { beginReading } from './reading.ts';

const PROGRESS_EVERY = 2_000;

interface Parts {
  query: Query;
  task: VerifyTask;
  pruning: Pruning | null;
  found: (finding: Finding) => void;
  onProgress: (progress: Progress) => void;
}

/** Connections at work, so that the database reads the next piece while this process looks at one. */
const LANES = 3;

/** Reads the whole ledger, or what came after `from`, in one snapshot while others go on writing. */
export async function verify(
  db: Database,
  task: VerifyTask,
  onProgress: (progress: Progress) => void,
): Promise<VerifyReport> {
  return db.alone(async (query) => {
    await beginReading(query);
    const [snapshot] = await query<{ id: string }>('SELECT pg_export_snapshot() AS id');
    const beside: Beside = (work) =>
      Promise.all(
        Array.from({ length: LANES - 1 }, () =>
          db.alone(async (own) => {
            await beginReading(own, snapshot!.id);
            await work(own);
          }),
        ),
      );
    const sound = task.from ? null : await verifyInPieces(query, task, { beside, onProgress });
    const report = sound ?? (await verifyInOrder(query, task, onProgress));
    await query('COMMIT');
    return report;
  });
}

/** Reads from the first event to the last, and tells what is wrong and where; page by page. */
export async function verifyInOrder(
  query: Query,
  task: VerifyTask,
  onProgress: (progress: Progress) => void,
): Promise<VerifyReport> {
  const findings = createCollector<Finding>();
  const erased = createCollector<Erased>();
  const pruned = await readPruned(query);
  const { pruning } = pruned;
  const from = beginningOf(task.from, pruning);
  const parts: Parts = { query, task: { ...task, from }, pruning, found: findings.add, onProgress };
  if (!from) for (const name of await missingTriggers(query)) findings.add(lostTrigger(name));
  checkPruned(pruned, task.known, findings.add);
  const { state, ...counts } = await checkEvents(parts, erased.add);
  const { runs, narrow_runs } = await checkRuns(parts);
  // What was counted is about all runs, so it is looked at when all are.
  if (!from) await checkCounts(query, narrow_runs, parts.found);
  await checkTrail(query, Number(from?.size ?? 0), { stream, found: parts.found });
  await checkMirror(query, Number(from?.size ?? 0), { stream, found: parts.found });
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
    if (counts.events % PROGRESS_EVERY === 0) onProgress({ step: 'events', done: event.seq, total: last });
  }
  for (; !next.done; next = await values.next()) chain.stray(next.value);
  return { state: chain.end(), ...counts };
} // prettier-ignore

/** Everything that any table has about one run, in one row. */
interface StoredRun {
  run_id: string;
  events: (StoredEvent & { values: { name: string; value: string }[] })[] | null;
  row: Record<string, Cell | boolean> | null;
  narrow: Row | null;
  people: string[] | null;
  aliases: string[] | null;
  requests: number[] | null;
  mirrored: MirroredRow[] | null;
}

/** Rebuilds each run, and each that a table names although no event does. Answers how many there were. */
async function checkRuns({ query, task, found, onProgress }: Parts): Promise<{ runs: number; narrow_runs: number }> {
  const after = Number(task.from?.size ?? 0);
  const [count] = await query<{ total: number }>(`SELECT ${TOTAL_RUNS} AS total`);
  let [done, narrow_runs] = [0, 0];
  for await (const stored of stream<StoredRun>(query, 'all_runs', runsStatement(after))) {
    const { run_id, events, row, narrow, people, aliases, requests, mirrored } = stored;
    if (narrow) narrow_runs += 1;
    const parts = {
      run_id,
      events: (events ?? []).map(({ values, ...event }) => ({ event, values })),
      row: row && RUN_COLUMNS.map((column) => textOf(row[column]!)),
      record: row ? String(row['record']) : null,
      narrow: narrow && NARROW_COLUMNS.map((column) => narrow[column]!),
      people: people ?? [],
      aliases: aliases ?? [],
      requests: requests ?? [],
      mirrored: mirrored ?? [],
    };
    checkRun(parts, projector, found);
    done += 1;
    if (done % PROGRESS_EVERY === 0) onProgress({ step: 'runs', done, total: count!.total });
  }
  return { runs: done, narrow_runs };
} // prettier-ignore

// What has a number but no term is not what has none.
const NARROW_MEMBERS = [
  ...['start', ...PLAIN_COLUMNS].map((column) => `'${column}', c.${column}`),
  ...TERM_COLUMNS.map(
    (column) => `'${column}', CASE c.${column} WHEN 0 THEN NULL
      ELSE coalesce((SELECT t.value FROM terms t WHERE t.id = c.${column} AND t.kind = '${column}'), c.${column}::text) END`,
  ),
].join(', ');

function runsStatement(after: number): string {
  const ids =
    after === 0
      ? `SELECT run_id FROM events WHERE run_id <> '' UNION SELECT id FROM runs UNION SELECT run_id FROM run_people
         UNION SELECT run_id FROM run_aliases UNION SELECT run_id FROM requests UNION SELECT run_id FROM mirrored`
      : `SELECT run_id FROM events WHERE run_id <> '' AND seq > ${after} UNION SELECT run_id FROM mirrored WHERE seq > ${after}`;
  return `SELECT i.run_id,
    (SELECT json_agg(json_build_object('seq', e.seq, 'at', e.at, 'kind', e.kind, 'run_id', e.run_id, 'facts', e.facts,
       'commitments', e.commitments, 'prev', e.prev, 'hash', e.hash, 'values', (
         SELECT coalesce(json_agg(json_build_object('name', p.name, 'value', p.value)), '[]')
         FROM event_private p WHERE p.seq = e.seq)) ORDER BY e.seq)
     FROM events e WHERE e.run_id = i.run_id AND e.run_id <> '') AS events,
    (SELECT to_json(r) FROM runs r WHERE r.id = i.run_id) AS row,
    (SELECT json_build_object(${NARROW_MEMBERS}) FROM runs r JOIN narrow_runs c
       ON c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n WHERE r.id = i.run_id) AS narrow,
    (SELECT json_agg(n.role || ' ' || n.name) FROM run_people n WHERE n.run_id = i.run_id) AS people,
    (SELECT json_agg(a.alias) FROM run_aliases a WHERE a.run_id = i.run_id) AS aliases,
    (SELECT json_agg(k.at) FROM requests k WHERE k.run_id = i.run_id) AS requests,
    (SELECT json_agg(to_json(m) ORDER BY m.seq, m.position) FROM mirrored m WHERE m.run_id = i.run_id) AS mirrored
    FROM (${ids}) AS i ORDER BY i.run_id`;
}
