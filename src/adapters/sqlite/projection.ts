import type { Cell } from '../../runs/row.ts';
import type { Database } from 'better-sqlite3';
import type { Projector, Rebuilt } from '../../ledger/verify-projection.ts';
import type { ActionRun, RunEvent, LedgerEvent } from '../../runs/action-run.ts';
import { applyEvent } from '../../runs/fold.ts';
import { peopleOf, type PersonName } from '../../runs/people.ts';
import { cellsOf, NARROW_COLUMNS } from '../sql/narrow.ts';
import { createChain } from './chain.ts';
import { createNarrowRuns, narrow } from './narrow-runs.ts';
import { storable } from './storable.ts';

/** What each column of `runs` beside the record has of it; erased fields are like fields that were never set. */
const CELLS: Record<string, (run: ActionRun) => Cell | undefined> = {
  id: (run) => run.id,
  kind: (run) => run.kind,
  organization: (run) => run.organization,
  workspace: (run) => run.workspace,
  environment: (run) => run.environment?.value,
  block: (run) => run.block,
  block_version: (run) => run.block_version,
  app_version: (run) => run.app_version,
  block_from: (run) => run.block_from,
  action: (run) => run.action,
  status: (run) => run.status,
  status_reason: (run) => run.status_reason,
  exit_code: (run) => run.exit_code,
  launched: (run) => (run.launched ? 1 : 0),
  requested_at: (run) => run.requested_at,
  started_at: (run) => run.started_at,
  finished_at: (run) => run.finished_at,
  duration_ms: (run) => run.duration_ms,
  host: (run) => run.hostname,
  client: (run) => run.client?.name,
  source: (run) => run.source,
  reason: (run) => run.reason,
  retrigger_of: (run) => run.retrigger_of,
};

export const RUN_COLUMNS = Object.keys(CELLS);
const CELL_OF = Object.values(CELLS);

/** Writes events and keeps the projection in step; callers hold the transaction. */
export interface Projection {
  append(event: RunEvent): ActionRun;
  read(id: string): ActionRun | null;
  /** Chains an event and leaves the projection alone; answers its number. */
  chain(event: LedgerEvent): number;
  /** Replaces what the tables say about a run. */
  rewrite(rebuilt: Rebuilt): void;
  /** From now on the tables say nothing about a run. */
  forget(id: string): void;
  /** Takes runs into the counts that lie far enough behind. */
  countUpTo(at: number): void;
}

export function createProjection(db: Database): Projection {
  const chain = createChain(db);
  const selectRun = db.prepare('SELECT record FROM runs WHERE id = ?').pluck();
  const writeRun = db
    .prepare(
      `INSERT INTO runs (${RUN_COLUMNS.join(', ')}, record) VALUES (${RUN_COLUMNS.map(() => '?').join(', ')}, ?)
       ON CONFLICT (id) DO UPDATE SET ${[...RUN_COLUMNS, 'record'].map((c) => `${c} = excluded.${c}`).join(', ')}
       RETURNING n`,
    )
    .pluck();
  const names = peopleWriter(db);
  const narrowRuns = createNarrowRuns(db);
  const selectNumber = db.prepare('SELECT n FROM runs WHERE id = ?').pluck();
  const removals = ['runs WHERE id', 'run_people WHERE run_id', 'run_aliases WHERE run_id'].map((place) =>
    db.prepare(`DELETE FROM ${place} = ?`),
  );

  const read = (id: string): ActionRun | null => {
    const record = selectRun.get(id) as string | undefined;
    return record === undefined ? null : (JSON.parse(record) as ActionRun);
  };

  return {
    read,
    chain,
    append(event) {
      chain(event);
      const before = read(event.run_id);
      const run = applyEvent(before, event);
      const n = writeRun.get(...projector.row(run), JSON.stringify(run)) as number;
      names.add(peopleOf(run, storable), run);
      narrowRuns.write(n, before, run);
      narrowRuns.countUpTo(event.at);
      return run;
    },
    rewrite({ run, row, people }) {
      const before = read(run.id);
      const n = writeRun.get(...row, JSON.stringify(run)) as number;
      narrowRuns.write(n, before, run);
      names.clear(run.id);
      names.add(people.values(), run);
    },
    forget(id) {
      const before = read(id);
      if (before) narrowRuns.remove(selectNumber.get(id) as number, before);
      for (const removal of removals) removal.run(id);
    },
    countUpTo: narrowRuns.countUpTo,
  };
}

/** What the tables say about a record. */
export const projector: Projector = {
  columns: { runs: RUN_COLUMNS, narrow_runs: NARROW_COLUMNS },
  row: (run) => CELL_OF.map((cell) => storable(cell(run) ?? null)),
  narrow: (run) => cellsOf(narrow(run)),
  text: storable,
};

/** Keeps the names that a `user` filter and an id look-up search by. */
function peopleWriter(db: Database): {
  add(people: Iterable<PersonName>, run: ActionRun): void;
  clear(run_id: string): void;
} {
  const insertPerson = db.prepare('INSERT OR IGNORE INTO run_people (name, run_id, role) VALUES (?, ?, ?)');
  const insertAlias = db.prepare('INSERT OR IGNORE INTO run_aliases (alias, run_id) VALUES (?, ?)');
  const deletePeople = db.prepare('DELETE FROM run_people WHERE run_id = ?');
  return {
    add(people, run) {
      for (const { name, role } of people) insertPerson.run(name, run.id, role);
      for (const { id } of run.aliases) insertAlias.run(storable(id), run.id);
    },
    clear: (run_id) => void deletePeople.run(run_id),
  };
}
