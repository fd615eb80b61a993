import { AppError } from '../../shared/errors.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { createTree } from '../../ledger/checkpoint-tree.ts';
import { cutAt, factsOf, parsePruning, type Extent } from '../../ledger/prune.ts';
import { createRollups, ROLLUP_COLUMNS, type Rollup } from '../../ledger/rollup.ts';
import type { OnUpkeep, PrunePlan, PruneRequest } from '../../ledger/upkeep.ts';
import type { PrunedLedger } from '../../ledger/verify-pruned.ts';
import { beginUpkeep, chainEvent } from './chain.ts';
import { deriveAgain } from './erase-rows.ts';
import { beginReading } from './reading.ts';
import { stream } from './stream.ts';
import type { Query } from './database.ts';
import { forgetTerms, removeNarrow } from './narrow-runs.ts';

const PROGRESS_EVERY = 20_000;
const UPKEEP = "kind IN ('person_erased', 'ledger_pruned')";

/** What the newest pruning says, and what it left. */
export async function readPruned(query: Query): Promise<PrunedLedger> {
  const [row] = await query<{ facts: string }>(
    "SELECT facts FROM events WHERE kind = 'ledger_pruned' ORDER BY seq DESC LIMIT 1",
  );
  const rollups = await query<Rollup & object>(`SELECT ${ROLLUP_COLUMNS.join(', ')} FROM rollups`);
  return { pruning: parsePruning(row?.facts), rollups };
}

export async function planPrune(query: Query, before: number, onProgress: OnUpkeep): Promise<PrunePlan> {
  await beginReading(query);
  const { pruning, rollups } = await readPruned(query);
  const [end] = await query<{ wanted: number }>(
    'SELECT coalesce((SELECT min(seq) FROM events WHERE at >= $1) - 1, (SELECT max(seq) FROM events), 0) AS wanted',
    [before],
  );
  const { size, held } = await cutOf(query, end!.wanted);
  const tree = createTree(pruning?.size, pruning?.frontier);
  let head = pruning?.head ?? '';
  for await (const { hash } of stream<{ hash: string }>(query, 'hashes', `SELECT hash FROM events WHERE seq <= ${size} ORDER BY seq`)) {
    tree.add((head = hash));
    if (tree.size() % PROGRESS_EVERY === 0) onProgress({ step: 'values', done: tree.size(), total: size });
  }
  const sums = createRollups(rollups);
  const runs: string[] = [];
  const going = `SELECT id, record FROM runs WHERE ${goingUpTo(size)}`;
  for await (const { id, record } of stream<{ id: string; record: string }>(query, 'going', going)) {
    sums.add(JSON.parse(record) as ActionRun);
    runs.push(id);
  }
  const marks = await query<{ tombstone: string }>(
    `SELECT DISTINCT tombstone FROM events, json_array_elements_text(facts::json->'tombstones') AS tombstone WHERE ${UPKEEP}`,
  );
  return {
    size: tree.size(),
    head,
    root: tree.root(),
    frontier: [...tree.frontier()],
    tombstones: marks.map(({ tombstone }) => tombstone).sort(),
    events: Math.max(0, size - (pruning?.size ?? 0)),
    runs,
    rollups: sums.list(),
    held,
  };
} // prettier-ignore

/** Runs of which everything lies in the part that goes. */
function goingUpTo(size: number): string {
  return `id IN (SELECT run_id FROM events WHERE seq <= ${size} UNION SELECT run_id FROM mirrored WHERE seq <= ${size})
    AND NOT EXISTS (SELECT FROM events e WHERE e.run_id = id AND e.seq > ${size})
    AND NOT EXISTS (SELECT FROM mirrored m WHERE m.run_id = id AND m.seq > ${size} AND m.current = 1)`;
}

const START = "coalesce(facts::json->>'started_at', facts::json->>'requested_at')::bigint";
const COUNT_SYNCS = `UPDATE syncs s SET (runs, oldest, newest) = (
  SELECT count(*), min(${START}), max(${START}) FROM mirrored m
  WHERE m.source = s.source AND m.endpoint = s.endpoint AND m.current = 1)`;

/** A run with a lease is not done with, whatever its status. */
async function cutOf(query: Query, wanted: number): Promise<ReturnType<typeof cutAt>> {
  const extents = await query<Extent & object>(
    `SELECT e.run_id, min(e.seq) AS first, max(e.seq) AS last,
       coalesce((SELECT status IN ('pending', 'running') FROM runs r WHERE r.id = e.run_id), false)
         OR EXISTS (SELECT FROM leases l WHERE l.run_id = e.run_id) AS open
     FROM events e WHERE e.run_id > '' GROUP BY e.run_id HAVING min(e.seq) <= $1`,
    [wanted],
  );
  return cutAt(wanted, extents);
}

export async function prune(query: Query, request: PruneRequest, onProgress: OnUpkeep): Promise<void> {
  const { size, head, rollups } = request.plan;
  await beginUpkeep(query);
  await query('SELECT ledger_lock()');
  const [last] = await query<{ hash: string }>('SELECT hash FROM events WHERE seq = $1', [size]);
  if (last?.hash !== head || (await cutOf(query, size)).size !== size) throw movedOn();
  const { at, by, pruning } = request;
  await chainEvent(query, { kind: 'ledger_pruned', run_id: '', at, facts: factsOf(pruning), private: by });
  await query("SELECT set_config('polycrate_mcp.pruning', 'yes', true)");
  // What is left of a run by its rows behind the cut is derived anew, as is a run of which nothing is left.
  const halved = await query<{ run_id: string }>(
    `SELECT run_id FROM mirrored WHERE seq <= $1 OR run_id IN (SELECT run_id FROM events WHERE seq <= $1)`,
    [size],
  );
  await removeNarrow(query, size);
  const tables = ['runs', 'run_people', 'run_aliases', 'requests', 'outbox'];
  for (const [done, table] of tables.entries()) {
    onProgress({ step: 'pruning', done, total: tables.length + 1 });
    const column = table === 'runs' ? 'id' : 'run_id';
    await query(`DELETE FROM ${table} WHERE ${column} IN (SELECT run_id FROM events WHERE seq <= $1)`, [size]);
  }
  for (const table of ['event_private', 'calls']) await query(`DELETE FROM ${table} WHERE seq <= $1`, [size]);
  await query('DELETE FROM events WHERE seq <= $1', [size]);
  await query('DELETE FROM mirrored WHERE seq <= $1', [size]);
  await deriveAgain(query, [...new Set(halved.map(({ run_id }) => run_id))]);
  await forgetTerms(query);
  await query(COUNT_SYNCS);
  await query('DELETE FROM rollups');
  const columns = ROLLUP_COLUMNS.join(', ');
  await query(`INSERT INTO rollups (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::rollups, $1)`, [JSON.stringify(rollups)]);
  await query('COMMIT');
} // prettier-ignore

function movedOn(): AppError {
  return new AppError('refused', 'nothing was pruned: the ledger changed while it was looked at', {
    next: 'repeat the command',
  });
}
