import type { Cell } from '../../runs/row.ts';
import type { Database } from 'better-sqlite3';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import type { SealedValue } from '../../ledger/sound-event.ts';
import { splitValues } from '../../ledger/joined-values.ts';
import type { StoredRun } from '../../ledger/sound-pieces.ts';
import { NARROW_COLUMNS } from '../sql/narrow.ts';
import { decoded, WORDS } from '../sql/decode-terms.ts';
import { createTerms } from './narrow-runs.ts';
import { RUN_COLUMNS } from './projection.ts';
import { createStatements, type Statements } from './statements.ts';

/** Which runs: those of a range of ids, or those that have an event after one. Null bounds are open. */
export type RunScope = { above: string | null; upTo: string | null } | { after: number };

/** Columns of a row, the id of the run first: a row costs half of what it would cost as an object with named members. */
type Cells = readonly [run_id: string, ...cells: Cell[]];

/** Reads runs; what it prepares and the terms that it learns serve for all that are read with it. */
export function createRunReader(db: Database): (scope: RunScope) => Generator<StoredRun> {
  const statements = createStatements(db);
  const termOf = createTerms(db);
  const valuesOf = createValueReader(db);
  return (scope) => storedRuns({ statements, termOf, valuesOf }, scope);
}

interface Means {
  statements: Statements;
  termOf: ReturnType<typeof createTerms>;
  valuesOf: (seq: number, joined: string) => SealedValue[];
}

/** Each run, and each that a table names although no event does, ordered by id; memory holds one of them. */
function* storedRuns({ statements, termOf, valuesOf }: Means, scope: RunScope): Generator<StoredRun> {
  const select = (text: (where: string) => string, id: string): Taker => {
    const { where, bounds } = condition(scope, id);
    return taker(rowsOf(statements, text(where), bounds));
  };
  const list = (table: string, columns: string): Taker =>
    select((where) => `SELECT run_id, ${columns} FROM ${table} WHERE ${where} ORDER BY run_id`, 'run_id');
  const events = select(
    (where) =>
      `SELECT run_id, seq, at, kind, facts, commitments, prev, hash, ${JOINED_VALUES} FROM events e
       WHERE run_id <> '' AND ${where} ORDER BY run_id, seq`,
    'run_id',
  );
  // Numbers are looked for where the record says that it began, which is how questions find them.
  const rows = select(
    (where) =>
      `SELECT r.id, r.record, ${columns('r', RUN_COLUMNS)}, ${columns('c', NARROW_COLUMNS)}, s.value FROM runs r
       LEFT JOIN narrow_runs c ON c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n ${WORDS}
       WHERE ${where} ORDER BY r.id`,
    'r.id',
  );
  const people = list('run_people', "role || ' ' || name");
  const aliases = list('run_aliases', 'alias');
  const requests = list('requests', 'at');
  const mirrored = select(
    (where) =>
      `SELECT run_id, ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE ${where} ORDER BY run_id, seq, position`,
    'run_id',
  );
  const streams = [events, rows, people, aliases, requests, mirrored];
  try {
    for (let run_id = lowest(streams); run_id !== null; run_id = lowest(streams)) {
      const row = rows.all(run_id)[0];
      yield {
        run_id,
        events: events.all(run_id).map((cells) => eventOf(cells, valuesOf)),
        row: row ? row.slice(2, NARROW_FROM) : null,
        record: row?.[1] ?? null,
        narrow: row && row[NARROW_FROM] !== null ? decoded(row.slice(NARROW_FROM), termOf) : null,
        people: people.all(run_id).map(([, entry]) => entry as string),
        aliases: aliases.all(run_id).map(([, entry]) => entry as string),
        requests: requests.all(run_id).map(([, at]) => at as number),
        mirrored: mirrored.all(run_id).map(mirroredOf),
      };
    }
  } finally {
    // A reader that has seen enough leaves statements behind that would keep its snapshot open.
    for (const stream of streams) stream.end();
  }
}

/** Where the columns of `narrow_runs` begin in a row, behind the id, the record and its columns. */
const NARROW_FROM = 2 + RUN_COLUMNS.length;

function columns(table: string, names: readonly string[]): string {
  return names.map((name) => `${table}.${name}`).join(', ');
}

/** As `splitValues` takes them. What is not of the type it must be is left out, and then the number is wrong. */
const JOINED_VALUES = `(SELECT count(*) || coalesce(group_concat(
  CASE typeof(p.name) || typeof(p.salt) || typeof(p.value)
    WHEN 'textblobtext' THEN char(31) || p.name || char(31) || hex(p.salt) || char(31) || p.value END, ''), '')
  FROM event_private p WHERE p.seq = e.seq)`;

function createValueReader(db: Database): Means['valuesOf'] {
  const select = db.prepare(
    "SELECT name, CASE typeof(salt) WHEN 'blob' THEN hex(salt) END AS salt, value FROM event_private WHERE seq = ? ORDER BY name",
  );
  return (seq, joined) => splitValues(joined) ?? (select.all(seq) as SealedValue[]);
}

/** All at once if they are few, which costs a third less than one by one. */
function rowsOf(statements: Statements, statement: string, bounds: readonly Cell[]): Iterator<Cells> {
  if (bounds.length > 0) {
    const few = statements(`${statement} LIMIT ${FEW}`)
      .raw()
      .all(...bounds) as Cells[];
    if (few.length < FEW) return few.values();
  }
  return statements(statement)
    .raw()
    .iterate(...bounds) as IterableIterator<Cells>;
}

const FEW = 50_000;

function mirroredOf([, ...cells]: Cells): MirroredRow {
  return Object.fromEntries(
    MIRRORED_COLUMNS.map((column, n) => [column, cells[n]]),
  ) as unknown as MirroredRow;
}

function condition(scope: RunScope, id: string): { where: string; bounds: (string | number)[] } {
  if ('after' in scope) {
    const since = 'SELECT run_id FROM events WHERE seq > ? UNION SELECT run_id FROM mirrored WHERE seq > ?';
    return { where: `${id} IN (${since})`, bounds: [scope.after, scope.after] };
  }
  const { above, upTo } = scope;
  const where = [above === null ? [] : `${id} > ?`, upTo === null ? [] : `${id} <= ?`].flat();
  return { where: where.join(' AND ') || 'true', bounds: [above, upTo].filter((bound) => bound !== null) };
}

function eventOf(cells: Cells, valuesOf: Means['valuesOf']): StoredRun['events'][number] {
  const [run_id, seq, at, kind, facts, commitments, prev, hash, joined] = cells as unknown as EventCells;
  return {
    event: { seq, at, kind, run_id, facts, commitments, prev, hash },
    values: valuesOf(seq, joined),
  };
}

type EventCells = [run_id: string, seq: number, at: number, kind: string, facts: string, commitments: string, prev: string, hash: string, joined: string]; // prettier-ignore

function lowest(streams: readonly Taker[]): string | null {
  let least: string | null = null;
  for (const { head } of streams) {
    const id = head();
    if (id !== null && (least === null || id < least)) least = id;
  }
  return least;
}

interface Taker {
  /** The id that comes next; null at the end. */
  head(): string | null;
  /** Everything of that id, if it is its turn. */
  all(id: string): Cells[];
  end(): void;
}

function taker(items: Iterator<Cells>): Taker {
  let next = items.next();
  return {
    head: () => (next.done ? null : next.value[0]),
    all(id) {
      const taken: Cells[] = [];
      while (!next.done && next.value[0] === id) {
        taken.push(next.value);
        next = items.next();
      }
      return taken;
    },
    end: () => void items.return?.(),
  };
}
