import type { Database } from 'better-sqlite3';
import { AppError } from '../../shared/errors.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { createTree } from '../../ledger/checkpoint-tree.ts';
import { cutAt, factsOf, parsePruning, type Extent, type Pruning } from '../../ledger/prune.ts';
import { createRollups, ROLLUP_COLUMNS, type Rollup } from '../../ledger/rollup.ts';
import type { OnUpkeep, PrunePlan, PruneRequest } from '../../ledger/upkeep.ts';
import type { PrunedLedger } from '../../ledger/verify-pruned.ts';
import { forgetTerms, removeNarrow } from './narrow-runs.ts';
import type { OpenLedger } from './open.ts';
import { deriveAgain } from './erase-rows.ts';
import { createProjection } from './projection.ts';
import { suspended } from './schema.ts';

const PROGRESS_EVERY = 20_000;

export interface SyncPruning {
  planPrune(before: number): PrunePlan;
  prune(request: PruneRequest): void;
  pruned(): Pruning | null;
}

export function createPruning(open: OpenLedger, onProgress: OnUpkeep): SyncPruning {
  const { db } = open;
  const look = db.transaction((before: number) => plan(db, before, onProgress));
  const prune = db.transaction((request: PruneRequest): void => {
    if (!open.writable) throw new AppError('ledger_unavailable', `nothing was pruned: ${open.problem}`);
    const { size, runs, rollups } = request.plan;
    if (cutOf(db, size).size !== size || db.prepare('SELECT hash FROM events WHERE seq = ?').pluck().get(size) !== request.plan.head) {
      throw movedOn();
    }
    createProjection(db).chain({
      kind: 'ledger_pruned',
      run_id: '',
      at: request.at,
      facts: factsOf(request.pruning),
      private: request.by,
    });
    takeOut(db, { size, runs }, onProgress);
    keep(db, rollups);
  }); // prettier-ignore
  return {
    planPrune: (before) => look.deferred(before),
    prune(request) {
      db.pragma('secure_delete = ON');
      prune.immediate(request);
    },
    pruned: () => readPruned(db).pruning,
  };
}

/** What the newest pruning says, and what it left. */
export function readPruned(db: Database): PrunedLedger {
  const facts = db
    // The index is used only where its own condition is named.
    .prepare(
      "SELECT facts FROM events WHERE kind IN ('person_erased', 'ledger_pruned') AND kind = 'ledger_pruned' ORDER BY seq DESC LIMIT 1",
    )
    .pluck();
  const rollups = db.prepare(`SELECT ${ROLLUP_COLUMNS.join(', ')} FROM rollups`);
  return {
    pruning: parsePruning(facts.get() as string | undefined),
    rollups: rollups.all() as Rollup[],
  };
}

function plan(db: Database, before: number, onProgress: OnUpkeep): PrunePlan {
  const { pruning, rollups } = readPruned(db);
  const wanted = db
    .prepare(
      `SELECT coalesce((SELECT min(seq) FROM events WHERE at >= ?) - 1, (SELECT max(seq) FROM events), 0)`,
    )
    .pluck()
    .get(before) as number;
  const { size, held } = cutOf(db, wanted);
  const tree = createTree(pruning?.size, pruning?.frontier);
  let head = pruning?.head ?? '';
  const hashes = db.prepare('SELECT hash FROM events WHERE seq <= ? ORDER BY seq').pluck().iterate(size);
  for (const hash of hashes as IterableIterator<string>) {
    tree.add((head = hash));
    if (tree.size() % PROGRESS_EVERY === 0) onProgress({ step: 'values', done: tree.size(), total: size });
  }
  const sums = createRollups(rollups);
  const runs: string[] = [];
  const select = db.prepare(`SELECT id, record FROM runs WHERE ${GOING}`);
  for (const { id, record } of select.iterate({ size }) as IterableIterator<{ id: string; record: string }>) {
    sums.add(JSON.parse(record) as ActionRun);
    runs.push(id);
  }
  const events = Math.max(0, size - (pruning?.size ?? 0));
  return {
    size: tree.size(),
    head,
    root: tree.root(),
    frontier: [...tree.frontier()],
    tombstones: tombstones(db),
    events,
    runs,
    rollups: sums.list(),
    held,
  };
}

/** Runs of which everything lies in the part that goes. */
const GOING = `id IN (SELECT run_id FROM events WHERE seq <= @size UNION SELECT run_id FROM mirrored WHERE seq <= @size)
  AND NOT EXISTS (SELECT 1 FROM events WHERE run_id = id AND seq > @size)
  AND NOT EXISTS (SELECT 1 FROM mirrored WHERE run_id = id AND seq > @size AND current = 1)`;

/** A run with a lease is not done with, whatever its status. */
function cutOf(db: Database, wanted: number): ReturnType<typeof cutAt> {
  const extents = db
    .prepare(
      `SELECT e.run_id, min(e.seq) AS first, max(e.seq) AS last,
         coalesce((SELECT status IN ('pending', 'running') FROM runs r WHERE r.id = e.run_id), 0)
           OR EXISTS (SELECT 1 FROM leases l WHERE l.run_id = e.run_id) AS open
       FROM events e WHERE e.run_id > '' GROUP BY e.run_id HAVING min(e.seq) <= ?`,
    )
    .all(wanted) as (Omit<Extent, 'open'> & { open: number })[];
  return cutAt(
    wanted,
    extents.map((extent) => ({ ...extent, open: extent.open === 1 })),
  );
}

function tombstones(db: Database): string[] {
  const select = db.prepare(
    `SELECT DISTINCT t.value FROM events, json_each(facts, '$.tombstones') AS t
     WHERE kind IN ('person_erased', 'ledger_pruned') ORDER BY t.value`,
  );
  return select.pluck().all() as string[];
}

function takeOut(
  db: Database,
  { size, runs }: { size: number; runs: readonly string[] },
  onProgress: OnUpkeep,
): void {
  db.exec(
    'CREATE TEMP TABLE doomed (start INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (start, n)) WITHOUT ROWID',
  );
  const doom = db.prepare(
    'INSERT INTO doomed SELECT coalesce(started_at, requested_at), n FROM runs WHERE id = ?',
  );
  for (const run of runs) doom.run(run);
  removeNarrow(db);
  db.exec('DROP TABLE doomed');
  const tables = ['runs', 'run_people', 'run_aliases', 'requests', 'outbox'];
  const removals = tables.map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE ${table === 'runs' ? 'id' : 'run_id'} = ?`),
  );
  for (const [done, run] of runs.entries()) {
    for (const remove of removals) remove.run(run);
    if (done % 1_000 === 0) onProgress({ step: 'pruning', done, total: runs.length });
  }
  for (const table of ['event_private', 'calls']) db.prepare(`DELETE FROM ${table} WHERE seq <= ?`).run(size);
  // A run of ours of which only a later row is left is one that only others saw.
  const halved = db
    .prepare(
      'SELECT run_id FROM mirrored WHERE seq <= @size OR run_id IN (SELECT run_id FROM events WHERE seq <= @size)',
    )
    .pluck()
    .all({ size }) as string[];
  db.prepare('DELETE FROM requests WHERE run_id IN (SELECT run_id FROM events WHERE seq <= ?)').run(size);
  db.prepare('DELETE FROM mirrored WHERE seq <= ?').run(size);
  suspended(db, 'events_never_leave', () => db.prepare('DELETE FROM events WHERE seq <= ?').run(size));
  deriveAgain(db, new Set(halved));
  forgetTerms(db);
  db.exec(COUNT_SYNCS);
}

const START = "coalesce(json_extract(facts, '$.started_at'), json_extract(facts, '$.requested_at'))";
const OF_SYNC =
  'FROM mirrored m WHERE m.source = syncs.source AND m.endpoint = syncs.endpoint AND m.current = 1';
const COUNT_SYNCS = `UPDATE syncs SET runs = (SELECT count(*) ${OF_SYNC}),
  oldest = (SELECT min(${START}) ${OF_SYNC}), newest = (SELECT max(${START}) ${OF_SYNC})`;

function keep(db: Database, rollups: readonly Rollup[]): void {
  const insert = db.prepare(
    `INSERT INTO rollups (${ROLLUP_COLUMNS.join(', ')}) VALUES (${ROLLUP_COLUMNS.map((column) => `@${column}`).join(', ')})`,
  );
  db.exec('DELETE FROM rollups');
  for (const row of rollups) insert.run(row);
}

function movedOn(): AppError {
  return new AppError('refused', 'nothing was pruned: the ledger changed while it was looked at', {
    next: 'repeat the command',
  });
}
