import type { Database } from 'better-sqlite3';
import type { ActionRun } from '../../runs/action-run.ts';
import {
  COUNTED_UNTIL, countedUntil, countStatements, CUBES, DROP_EMPTY, keysOf, type CubeColumn,
} from '../sql/cubes.ts'; // prettier-ignore
import { MOST_TERMS, type Term } from '../sql/decode-terms.ts';
import { narrowOf, NARROW_COLUMNS, TERM_COLUMNS, type NarrowRun } from '../sql/narrow.ts';
import {
  isTold,
  isWithdrawn,
  narrowStatements,
  spanStatements,
  SPAN_COLUMNS,
  SUCCESS,
  WIDEN,
} from '../sql/spans.ts';
import { peopleOf } from '../../runs/people.ts';
import { storable } from './storable.ts';

const COLUMNS = [...NARROW_COLUMNS, 'n'] as const;
type Stored = Record<(typeof COLUMNS)[number], number | null> &
  Record<'start' | 'state' | 'unit' | 'action', number>;

/** Keeps `narrow_runs`, `terms`, `unit_spans` and `run_counts` in step with the records; callers hold the transaction. */
export interface NarrowRuns {
  /** `before`: the record as these tables have it; null if they do not know the run. */
  write(n: number, before: ActionRun | null, after: ActionRun): void;
  /** The run is gone. */
  remove(n: number, before: ActionRun): void;
  /** Takes into the counts what lies far enough behind. */
  countUpTo(at: number): void;
}

export function narrow(run: ActionRun): NarrowRun {
  const people = peopleOf(run, storable).map(({ name, role }) => `${role} ${name}`);
  return narrowOf(run, { people, spell: storable });
}

export function createNarrowRuns(db: Database): NarrowRuns {
  const select = db.prepare(`SELECT ${COLUMNS.join(', ')} FROM narrow_runs WHERE start = ? AND n = ?`);
  const insert = db.prepare(
    `INSERT OR REPLACE INTO narrow_runs (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((name) => `@${name}`).join(', ')})`,
  );
  const remove = db.prepare('DELETE FROM narrow_runs WHERE start = ? AND n = ?');
  const numberOf = createNumbers(db);
  const counts = createCounts(db);
  const spans = createSpans(db);
  return {
    write(n, before, after) {
      const [old, now] = [before && narrow(before), narrow(after)];
      const stored = old && (select.get(old.start, n) as Stored | undefined);
      const row = rowOf(now, { n, old, stored, numberOf });
      if (stored && COLUMNS.every((column) => stored[column] === row[column])) return;
      if (stored && stored.start !== row.start) remove.run(stored.start, n);
      insert.run(row);
      spans.change(stored ?? null, row);
      const until = counts.until();
      if (stored) counts.change(stored, -1, until);
      counts.change(row, 1, until);
    },
    remove(n, before) {
      const { start } = narrow(before);
      const stored = select.get(start, n) as Stored | undefined;
      if (!stored) return;
      remove.run(start, n);
      spans.change(stored, null);
      counts.change(stored, -1, counts.until());
    },
    countUpTo: counts.upTo,
  };
}

interface Known {
  n: number;
  old: NarrowRun | null;
  stored: Stored | null | undefined;
  numberOf: (kind: string, value: string) => number;
}

/** Most events change no term, and then none is looked up. */
function rowOf(now: NarrowRun, { n, old, stored, numberOf }: Known): Stored {
  const { terms, ...plain } = now;
  const row: Record<string, number | null> = { ...plain, n };
  for (const column of TERM_COLUMNS) {
    const value = terms[column];
    const same = stored && old?.terms[column] === value;
    row[column] = same ? stored[column] : value === null ? 0 : numberOf(column, value);
  }
  return row as Stored;
}

function createNumbers(db: Database): Known['numberOf'] {
  const select = db.prepare('SELECT id FROM terms WHERE kind = ? AND value = ?').pluck();
  const insert = db.prepare('INSERT INTO terms (kind, value) VALUES (?, ?)');
  return (kind, value) =>
    (select.get(kind, value) as number | undefined) ?? Number(insert.run(kind, value).lastInsertRowid);
}

/** Looks terms up by their numbers, each once. */
export function createTerms(db: Database): (id: number) => Term | undefined {
  const select = db.prepare('SELECT kind, value FROM terms WHERE id = ?');
  const known = new Map<number, Term | undefined>();
  return (id) => {
    if (!known.has(id)) {
      if (known.size >= MOST_TERMS) known.clear();
      known.set(id, select.get(id) as Term | undefined);
    }
    return known.get(id);
  };
}

interface Counts {
  until(): number;
  change(row: Stored, by: 1 | -1, until: number): void;
  upTo(at: number): void;
}

const KEY = 'cube = ? AND a = ? AND b = ? AND c = ? AND slot = ? AND state = ?';

function createCounts(db: Database): Counts {
  const selectUntil = db.prepare('SELECT value FROM meta WHERE name = ?').pluck();
  const storeUntil = db.prepare(
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  );
  const add = db.prepare(
    `INSERT INTO run_counts (cube, a, b, c, slot, state, runs) VALUES (?, ?, ?, ?, ?, ?, 1)
     ON CONFLICT DO UPDATE SET runs = runs + 1`,
  );
  const dropLast = db.prepare(`DELETE FROM run_counts WHERE ${KEY} AND runs = 1`);
  const subtract = db.prepare(`UPDATE run_counts SET runs = runs - 1 WHERE ${KEY}`);
  const until = (): number => Number(selectUntil.get(COUNTED_UNTIL) ?? 0);
  return {
    until,
    change(row, by, end) {
      if (row.start < 0 || row.start >= end) return;
      for (const cube of CUBES) {
        const keys = keysOf(cube, (column: CubeColumn) => String(row[column])).map(Number);
        const key = [cube.id, ...keys, Math.floor(row.start / cube.slot_ms), row.state];
        if (by === 1) add.run(key);
        else if (dropLast.run(key).changes === 0) subtract.run(key);
      }
    },
    upTo(at) {
      const [from, to] = [until(), countedUntil(at)];
      if (to <= from) return;
      countRange(db, from, to);
      storeUntil.run(COUNTED_UNTIL, String(to));
    },
  };
}

interface Spans {
  /** After the row of a run was written, or taken away. */
  change(before: Stored | null, after: Stored | null): void;
}

function createSpans(db: Database): Spans {
  const widen = db.prepare(
    `INSERT INTO unit_spans (${SPAN_COLUMNS.join(', ')}) VALUES (${SPAN_COLUMNS.map((column) => `@${column}`).join(', ')}) ${WIDEN}`,
  );
  const narrowing = narrowStatements((column) => `@${column}`).map((statement) => db.prepare(statement));
  const each = (row: Stored): Stored[] =>
    [0, ...(row.action === 0 ? [] : [row.action])].map((action) => ({ ...row, action }));
  return {
    change(before, after) {
      if (before && isWithdrawn(before, after)) {
        for (const row of each(before)) for (const statement of narrowing) statement.run(row);
      }
      if (!after || !isTold(after)) return;
      const success = after.state === SUCCESS ? after.start : null;
      const ends = { first_run: after.start, last_run: after.start, first_success: success, last_success: success };
      for (const row of each(after)) widen.run({ ...row, ...ends });
    },
  };
} // prettier-ignore

function countRange(db: Database, from: number, to: number): void {
  const some = db.prepare('SELECT 1 FROM narrow_runs WHERE start >= ? AND start < ? LIMIT 1');
  if (!some.get(from, to)) return;
  const source = 'narrow_runs c WHERE c.start >= ? AND c.start < ?';
  for (const statement of countStatements(source)) db.prepare(statement).run(from, to);
}

/** Takes runs out, whose starts and numbers are in the table `doomed`, and what only they had. */
export function removeNarrow(db: Database): void {
  const until = Number(db.prepare('SELECT value FROM meta WHERE name = ?').pluck().get(COUNTED_UNTIL) ?? 0);
  const source =
    'doomed d CROSS JOIN narrow_runs c ON c.start = d.start AND c.n = d.n WHERE c.start >= 0 AND c.start < ?';
  for (const statement of countStatements(source, '-')) db.prepare(statement).run(until);
  db.exec(DROP_EMPTY);
  db.exec(
    `CREATE TEMP TABLE doomed_units (unit INTEGER PRIMARY KEY);
     INSERT INTO doomed_units SELECT DISTINCT c.unit FROM doomed d CROSS JOIN narrow_runs c ON c.start = d.start AND c.n = d.n`,
  );
  db.exec('DELETE FROM narrow_runs WHERE (start, n) IN (SELECT start, n FROM doomed)');
  db.exec('DELETE FROM unit_spans WHERE unit IN (SELECT unit FROM doomed_units)');
  for (const statement of spanStatements('doomed_units d CROSS JOIN narrow_runs c', 'c.unit = d.unit'))
    db.exec(statement);
  db.exec('DROP TABLE doomed_units');
  forgetTerms(db);
}

/** What no run has any more: what a person was called may not stay here. */
export function forgetTerms(db: Database): void {
  for (const column of TERM_COLUMNS) {
    db.prepare(`DELETE FROM terms WHERE kind = ? AND id NOT IN (SELECT ${column} FROM narrow_runs)`).run(
      column,
    );
  }
}
