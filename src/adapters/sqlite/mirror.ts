import type { Database } from 'better-sqlite3';
import { LATE_MS, positionMoved, type ForeignPage, type ForeignSource, type PageStored, type RowSeen, type SyncStanding } from '../../ledger/mirror.ts'; // prettier-ignore
import { planPage, storedAs, type MirrorPlan } from '../../ledger/mirror-plan.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import { derived } from '../../ledger/verify-projection.ts';
import { createMirrorState } from './mirror-state.ts';
import { refuseWrite, type OpenLedger } from './open.ts';
import { createProjection, projector } from './projection.ts';

type RowPlace = Pick<ForeignPage, 'source' | 'endpoint'>;

/** The port `Mirror` as it lives in a worker. */
export interface SyncMirror {
  storePage(page: ForeignPage): PageStored;
  heardOf(ids: readonly string[]): MirroredRow[];
  currentRows(source: ForeignSource, endpoint: string, ids: readonly string[]): MirroredRow[];
  rowsBetween(place: RowPlace, span: { from: number; to: number }): RowSeen[];
  syncStandings(): SyncStanding[];
  syncFailed(source: ForeignSource, endpoint: string, problem: { at: number; says: string }): void;
}

export function createSyncMirror(open: OpenLedger): SyncMirror {
  const { db } = open;
  const stateOf = createMirrorState(open);
  const write = createWriter(db);
  const syncs = createSyncs(db);
  const heard = db.prepare(
    `SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored m WHERE current = 1
       AND run_id IN (SELECT run_id FROM run_aliases WHERE alias IN (SELECT value FROM json_each(?)))
       AND NOT EXISTS (SELECT 1 FROM events WHERE run_id = m.run_id) ORDER BY seq, position`,
  );
  const current = db.prepare(
    `SELECT ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE source = ? AND endpoint = ? AND current = 1
       AND foreign_id IN (SELECT value FROM json_each(?)) ORDER BY seq, position`,
  );
  const between = db.prepare(
    `SELECT m.foreign_id AS id, json_extract(m.facts, '$.api.gone') IS NOT NULL AS gone
     FROM narrow_runs q JOIN runs r ON r.n = q.n JOIN mirrored m ON m.run_id = r.id AND m.current = 1
     WHERE q.start BETWEEN @from - ${LATE_MS} AND @to + ${LATE_MS} AND m.source = @source AND m.endpoint = @endpoint
       AND json_extract(m.facts, '$.requested_at') BETWEEN @from AND @to`,
  );
  const store = db.transaction((page: ForeignPage): PageStored => {
    refuseWrite(open, 'nothing was mirrored');
    if (page.expected !== undefined && syncs.position(page) !== JSON.stringify(page.expected))
      throw positionMoved();
    const plan = planPage(page, stateOf(page));
    const seq = write(plan);
    if (page.told !== false) syncs.moved(page, plan);
    return storedAs(plan, seq);
  });
  return {
    storePage: (page) => store.immediate(page),
    heardOf: (ids) => heard.all(JSON.stringify(ids)) as MirroredRow[],
    currentRows: (source, endpoint, ids) =>
      current.all(source, endpoint, JSON.stringify(ids)) as MirroredRow[],
    rowsBetween: ({ source, endpoint }, { from, to }) =>
      (between.all({ source, endpoint, from, to }) as { id: string; gone: number }[]).map(({ id, gone }) => ({
        id,
        gone: gone === 1,
      })),
    syncStandings: syncs.all,
    syncFailed: syncs.failed,
  };
}

/** Stores what was planned, and answers the number of the page's event; callers hold the transaction. */
function createWriter(db: Database): (plan: MirrorPlan) => number | null {
  const projection = createProjection(db);
  const supersede = db.prepare('UPDATE mirrored SET current = 0 WHERE seq = ? AND position = ?');
  const insert = db.prepare(
    `INSERT INTO mirrored (${MIRRORED_COLUMNS.join(', ')}) VALUES (${MIRRORED_COLUMNS.map((column) => `@${column}`).join(', ')})`,
  );
  return ({ page, rows, seen, runs, gone }) => {
    const seq = page && projection.chain(page);
    if (seq !== null) {
      for (const { row, supersedes } of rows) {
        if (supersedes) supersede.run(supersedes.seq, supersedes.position);
        insert.run({ ...row, seq } satisfies MirroredRow);
      }
    }
    for (const id of gone) projection.forget(id);
    for (const { event } of seen) projection.append(event);
    for (const run of runs) projection.rewrite(derived(run, projector));
    if (page) projection.countUpTo(page.at);
    return seq;
  };
}

interface Syncs {
  /** As it is stored; `null` where there is none. */
  position(page: ForeignPage): string;
  moved(page: ForeignPage, plan: MirrorPlan): void;
  failed(source: string, endpoint: string, problem: { at: number; says: string }): void;
  all(): SyncStanding[];
}

type StoredSync = Omit<SyncStanding, 'position' | 'problem'> & { position: string; problem: string | null };

function createSyncs(db: Database): Syncs {
  const begin = db.prepare("INSERT OR IGNORE INTO syncs (source, endpoint, position, runs) VALUES (?, ?, 'null', 0)");
  const move = db.prepare(
    `UPDATE syncs SET success_at = @at, problem = NULL, runs = runs + @added,
       oldest = coalesce(min(oldest, @oldest), oldest, @oldest), newest = coalesce(max(newest, @newest), newest, @newest),
       position = coalesce(@position, position), missing = CASE @told WHEN 1 THEN @missing ELSE missing END
     WHERE source = @source AND endpoint = @endpoint`,
  );
  const fail = db.prepare('UPDATE syncs SET problem = ? WHERE source = ? AND endpoint = ?');
  const selectPosition = db.prepare('SELECT position FROM syncs WHERE source = ? AND endpoint = ?').pluck();
  const select = db.prepare('SELECT * FROM syncs ORDER BY source, endpoint');
  const failed = db.transaction((source: string, endpoint: string, problem: { at: number; says: string }): void => {
    begin.run(source, endpoint);
    fail.run(JSON.stringify(problem), source, endpoint);
  });
  return {
    position: ({ source, endpoint }) => (selectPosition.get(source, endpoint) as string | undefined) ?? 'null',
    moved({ source, endpoint, at, position, missing, rows }, { result }) {
      begin.run(source, endpoint);
      const starts = rows.map(({ record }) => record.started_at ?? record.requested_at);
      move.run({
        source, endpoint, at, added: result.added + result.joined,
        oldest: starts.length === 0 ? null : Math.min(...starts),
        newest: starts.length === 0 ? null : Math.max(...starts),
        position: position === undefined ? null : JSON.stringify(position),
        told: missing === undefined ? 0 : 1,
        missing: missing ?? null,
      }); // prettier-ignore
    },
    failed: (source, endpoint, problem) => failed.immediate(source, endpoint, problem),
    all: () =>
      (select.all() as StoredSync[]).map((sync) => ({
        ...sync,
        position: JSON.parse(sync.position) as SyncStanding['position'],
        problem: sync.problem === null ? null : (JSON.parse(sync.problem) as SyncStanding['problem']),
      })),
  };
} // prettier-ignore
