import type { Row } from '../../runs/row.ts';
import type { Database } from 'better-sqlite3';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import type { RunParts } from '../../ledger/verify-projection.ts';
import { RUN_COLUMNS } from './projection.ts';

/** Which runs: those of a range of ids, or those that have an event after one. Null bounds are open. */
export type RunScope = { above: string | null; upTo: string | null } | { after: number };

/** All that any table has about one run, private values with their salts. */
export interface StoredRun extends RunParts {
  events: readonly { event: StoredEvent; values: readonly StoredValue[] }[];
}

interface Identified {
  run_id: string;
}

/** Each run, and each that a table names although no event does, ordered by id; memory holds one of them. */
export function* storedRuns(db: Database, scope: RunScope): Generator<StoredRun> {
  const select = <T>(text: (where: string) => string, id: string): Taker<T & Identified> => {
    const { where, bounds } = condition(scope, id);
    return taker(db.prepare(text(where)).iterate(...bounds) as IterableIterator<T & Identified>);
  };
  const list = <T>(table: string, columns: string): Taker<T & Identified> =>
    select((where) => `SELECT run_id, ${columns} FROM ${table} WHERE ${where} ORDER BY run_id`, 'run_id');
  const events = select<StoredEvent>(
    (where) =>
      `SELECT seq, at, kind, run_id, facts, commitments, prev, hash FROM events
       WHERE run_id <> '' AND ${where} ORDER BY run_id, seq`,
    'run_id',
  );
  // Events lead, so that their index gives the order and nothing is sorted.
  const values = select<StoredValue>(
    (where) =>
      `SELECT e.run_id, p.seq, p.name, p.salt, p.value FROM events e CROSS JOIN event_private p ON p.seq = e.seq
       WHERE e.run_id <> '' AND ${where} ORDER BY e.run_id, e.seq`,
    'e.run_id',
  );
  const rows = select<Row>(
    (where) => `SELECT id AS run_id, record, ${RUN_COLUMNS.join(', ')} FROM runs WHERE ${where} ORDER BY id`,
    'id',
  );
  const people = list<{ entry: string }>('run_people', "role || ' ' || name AS entry");
  const aliases = list<{ entry: string }>('run_aliases', 'alias AS entry');
  const requests = list<{ at: number }>('requests', 'at');
  const streams = [events, values, rows, people, aliases, requests];
  try {
    for (let run_id = lowest(streams); run_id !== null; run_id = lowest(streams)) {
      const row = rows.all(run_id)[0] ?? null;
      yield {
        run_id,
        events: withValues(events.all(run_id), values.all(run_id)),
        row,
        record: row?.['record'] ?? null,
        people: people.all(run_id).map(({ entry }) => entry),
        aliases: aliases.all(run_id).map(({ entry }) => entry),
        requests: requests.all(run_id).map(({ at }) => at),
      };
    }
  } finally {
    // A reader that has seen enough leaves statements behind that would keep its snapshot open.
    for (const stream of streams) stream.end();
  }
}

function condition(scope: RunScope, id: string): { where: string; bounds: (string | number)[] } {
  if ('after' in scope) {
    return { where: `${id} IN (SELECT run_id FROM events WHERE seq > ?)`, bounds: [scope.after] };
  }
  const { above, upTo } = scope;
  const where = [above === null ? [] : `${id} > ?`, upTo === null ? [] : `${id} <= ?`].flat();
  return { where: where.join(' AND ') || 'true', bounds: [above, upTo].filter((bound) => bound !== null) };
}

function withValues(
  events: readonly StoredEvent[],
  values: readonly StoredValue[],
): { event: StoredEvent; values: StoredValue[] }[] {
  let next = 0;
  return events.map((event) => {
    const from = next;
    while (next < values.length && values[next]!.seq === event.seq) next += 1;
    return { event, values: values.slice(from, next) };
  });
}

function lowest(streams: readonly Taker<Identified>[]): string | null {
  let least: string | null = null;
  for (const { head } of streams) {
    const id = head();
    if (id !== null && (least === null || id < least)) least = id;
  }
  return least;
}

interface Taker<T> {
  /** The id that comes next; null at the end. */
  head(): string | null;
  /** Everything of that id, if it is its turn. */
  all(id: string): T[];
  end(): void;
}

function taker<T extends Identified>(items: Iterator<T>): Taker<T> {
  let next = items.next();
  return {
    head: () => (next.done ? null : next.value.run_id),
    all(id) {
      const taken: T[] = [];
      while (!next.done && next.value.run_id === id) {
        taken.push(next.value);
        next = items.next();
      }
      return taken;
    },
    end: () => void items.return?.(),
  };
}
