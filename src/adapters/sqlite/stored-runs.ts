import type { Cell, Row } from '../../runs/row.ts';
import type { Database } from 'better-sqlite3';
import type { StoredEvent } from '../../ledger/chain.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import type { SealedValue } from '../../ledger/sound-event.ts';
import type { RunParts } from '../../ledger/verify-projection.ts';
import { NARROW_COLUMNS } from '../sql/narrow.ts';
import { createDecoder } from './narrow-runs.ts';
import { RUN_COLUMNS } from './projection.ts';

/** Which runs: those of a range of ids, or those that have an event after one. Null bounds are open. */
export type RunScope = { above: string | null; upTo: string | null } | { after: number };

/** All that any table has about one run, private values with their salts. */
export interface StoredRun extends RunParts {
  events: readonly { event: StoredEvent; values: readonly SealedValue[] }[];
}

/** Columns of a row, the id of the run first: a row costs half of what it would cost as an object with named members. */
type Cells = readonly [run_id: string, ...cells: Cell[]];

/** Each run, and each that a table names although no event does, ordered by id; memory holds one of them. */
export function* storedRuns(db: Database, scope: RunScope): Generator<StoredRun> {
  const select = (text: (where: string) => string, id: string): Taker => {
    const { where, bounds } = condition(scope, id);
    return taker(rowsOf(db, text(where), bounds));
  };
  const list = (table: string, columns: string): Taker =>
    select((where) => `SELECT run_id, ${columns} FROM ${table} WHERE ${where} ORDER BY run_id`, 'run_id');
  const events = select(
    (where) =>
      `SELECT run_id, seq, at, kind, facts, commitments, prev, hash FROM events
       WHERE run_id <> '' AND ${where} ORDER BY run_id, seq`,
    'run_id',
  );
  // Events lead, so that their index gives the order and nothing is sorted. Text costs less than a buffer for each salt.
  const values = select(
    (where) =>
      `SELECT e.run_id, p.seq, p.name, CASE typeof(p.salt) WHEN 'blob' THEN hex(p.salt) END, p.value
       FROM events e CROSS JOIN event_private p ON p.seq = e.seq
       WHERE e.run_id <> '' AND ${where} ORDER BY e.run_id, e.seq, p.name`,
    'e.run_id',
  );
  const rows = select(
    (where) => `SELECT id, record, ${RUN_COLUMNS.join(', ')} FROM runs WHERE ${where} ORDER BY id`,
    'id',
  );
  // Looked for where the record says that it began, which is how questions find it.
  const narrow = select(
    (where) =>
      `SELECT r.id, ${NARROW_COLUMNS.map((column) => `c.${column}`).join(', ')} FROM runs r
       CROSS JOIN narrow_runs c ON c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n
       WHERE ${where} ORDER BY r.id`,
    'r.id',
  );
  const decode = createDecoder(db);
  const people = list('run_people', "role || ' ' || name");
  const aliases = list('run_aliases', 'alias');
  const requests = list('requests', 'at');
  const mirrored = select(
    (where) =>
      `SELECT run_id, ${MIRRORED_COLUMNS.join(', ')} FROM mirrored WHERE ${where} ORDER BY run_id, seq, position`,
    'run_id',
  );
  const streams = [events, values, rows, narrow, people, aliases, requests, mirrored];
  try {
    for (let run_id = lowest(streams); run_id !== null; run_id = lowest(streams)) {
      const row = rows.all(run_id)[0];
      const numbers = narrow.all(run_id)[0];
      yield {
        run_id,
        events: withValues(events.all(run_id), values.all(run_id)),
        row: row ? rowOf(row) : null,
        record: row?.[1] ?? null,
        narrow: numbers ? decode(narrowOf(numbers)) : null,
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

/** All at once if they are few, which costs a third less than one by one. */
function rowsOf(db: Database, statement: string, bounds: readonly Cell[]): Iterator<Cells> {
  if (bounds.length > 0) {
    const few = db
      .prepare(`${statement} LIMIT ${FEW}`)
      .raw()
      .all(...bounds) as Cells[];
    if (few.length < FEW) return few.values();
  }
  return db
    .prepare(statement)
    .raw()
    .iterate(...bounds) as IterableIterator<Cells>;
}

const FEW = 50_000;

function mirroredOf([, ...cells]: Cells): MirroredRow {
  return Object.fromEntries(
    MIRRORED_COLUMNS.map((column, n) => [column, cells[n]]),
  ) as unknown as MirroredRow;
}

function narrowOf([, ...cells]: Cells): Row {
  const row: Row = {};
  NARROW_COLUMNS.forEach((column, n) => (row[column] = cells[n]!));
  return row;
}

function rowOf([, , ...cells]: Cells): Row {
  const row: Row = {};
  RUN_COLUMNS.forEach((column, n) => (row[column] = cells[n]!));
  return row;
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

function withValues(events: readonly Cells[], values: readonly Cells[]): StoredRun['events'] {
  let next = 0;
  return events.map((cells) => {
    const [run_id, seq, at, kind, facts, commitments, prev, hash] = cells as unknown as EventCells;
    const own: SealedValue[] = [];
    for (; next < values.length && values[next]![1] === seq; next += 1) {
      const [, , name, salt, value] = values[next] as unknown as ValueCells;
      own.push({ name, salt, value });
    }
    return { event: { seq, at, kind, run_id, facts, commitments, prev, hash }, values: own };
  });
}

type EventCells = [run_id: string, seq: number, at: number, kind: string, facts: string, commitments: string, prev: string, hash: string]; // prettier-ignore
type ValueCells = [run_id: string, seq: number, name: string, salt: string | null, value: string];

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
