import type { StoredEvent } from '../../ledger/chain.ts';
import { splitValues } from '../../ledger/joined-values.ts';
import { MIRRORED_COLUMNS, type MirroredRow } from '../../ledger/mirrored-row.ts';
import type { SealedValue } from '../../ledger/sound-event.ts';
import type { StoredRun } from '../../ledger/sound-pieces.ts';
import { decoded, MOST_TERMS, termsIn, WORDS, type Term } from '../sql/decode-terms.ts';
import { NARROW_COLUMNS } from '../sql/narrow.ts';
import type { Query } from './database.ts';
import { RUN_COLUMNS } from './projection.ts';

/** Runs whose ids are above one and not above another; null is open. */
export interface Range {
  above: string | null;
  upTo: string | null;
}

/** An event with its private values as `splitValues` takes them. */
export interface JoinedEvent extends StoredEvent {
  joined: string;
}

/** Columns of a `JoinedEvent`, from `events` under the name `e`. */
export const JOINED_EVENT = `e.seq, e.at, e.kind, e.run_id, e.facts, e.commitments, e.prev, e.hash,
  (SELECT count(*) || coalesce(string_agg(E'\\x1f' || p.name || E'\\x1f' || encode(p.salt, 'hex') || E'\\x1f' || p.value, '' ORDER BY p.name), '')
   FROM event_private p WHERE p.seq = e.seq) AS joined`;

/** The private values of an event that `splitValues` cannot tell. */
export async function readValues(query: Query, { seq }: StoredEvent): Promise<SealedValue[]> {
  return await query<SealedValue & object>(
    "SELECT name, encode(salt, 'hex') AS salt, value FROM event_private WHERE seq = $1 ORDER BY name",
    [seq],
  );
}

/** All that the tables have about the runs of a range; callers hold the snapshot. What it learns of terms serves for the next. */
export function createRunReader(query: Query): (range: Range) => Promise<Iterable<StoredRun>> {
  const termsOf = createTerms(query);
  return async (range) => {
    const runs = new Map<string, Draft>();
    const draft = (run_id: string): Draft => {
      const known = runs.get(run_id);
      if (known) return known;
      const fresh = blank(run_id);
      runs.set(run_id, fresh);
      return fresh;
    };
    const read = <R extends object>(text: (where: string) => string, id: string): Promise<R[]> => {
      const { where, values } = condition(range, id);
      return query<R>(text(where), values);
    };
    const list = <R extends object>(table: string, columns: string, order = ''): Promise<(R & { run_id: string })[]> =>
      read((where) => `SELECT run_id, ${columns} FROM ${table} WHERE ${where} ${order}`, 'run_id');
    const events = await read<JoinedEvent>(
      (where) => `SELECT ${JOINED_EVENT} FROM events e WHERE e.run_id <> '' AND ${where} ORDER BY e.run_id, e.seq`,
      'e.run_id',
    );
    for (const { joined, ...event } of events) {
      const values = splitValues(joined) ?? (await readValues(query, event));
      draft(event.run_id).events.push({ event, values });
    }
    // Numbers are looked for where the record says that it began, which is how questions find them.
    const rows = await read<StoredRow>(
      (where) =>
        `SELECT r.id, r.record, array_to_json(ARRAY[${RUN_COLUMNS.map((column) => `r.${column}::text`).join(', ')}]) AS cells,
           array_to_json(ARRAY[${NARROW_COLUMNS.map((column) => `c.${column}`).join(', ')}]::bigint[]) AS numbers, s.value AS words
         FROM runs r LEFT JOIN narrow_runs c ON c.start = coalesce(r.started_at, r.requested_at) AND c.n = r.n ${WORDS} WHERE ${where}`,
      'r.id',
    );
    const termOf = await termsOf(rows.flatMap(({ numbers }) => termsIn(numbers)));
    for (const { id, record, cells, numbers, words } of rows) {
      const narrow = numbers[0] === null ? null : decoded([...numbers, words], termOf);
      Object.assign(draft(id), { row: cells, record, narrow });
    }
    for (const { run_id, entry } of await list<{ entry: string }>('run_people', "role || ' ' || name AS entry"))
      draft(run_id).people.push(entry);
    for (const { run_id, alias } of await list<{ alias: string }>('run_aliases', 'alias')) draft(run_id).aliases.push(alias);
    for (const { run_id, at } of await list<{ at: number }>('requests', 'at')) draft(run_id).requests.push(at);
    for (const row of await list<MirroredRow>('mirrored', MIRRORED_COLUMNS.join(', '), 'ORDER BY seq, position'))
      draft(row.run_id).mirrored.push(row);
    return runs.values();
  };
} // prettier-ignore

/** A row of `runs`, as `textOf` has them, and its numbers, all null where it has none. */
interface StoredRow {
  id: string;
  record: string;
  cells: (string | null)[];
  numbers: (number | null)[];
  words: string | null;
}

/** A run that is being read. */
type Draft = {
  [Name in keyof StoredRun]: StoredRun[Name] extends readonly (infer Item)[] ? Item[] : StoredRun[Name];
};

function blank(run_id: string): Draft {
  return { run_id, events: [], row: null, record: null, narrow: null, people: [], aliases: [], requests: [], mirrored: [] };
} // prettier-ignore

function condition({ above, upTo }: Range, id: string): { where: string; values: string[] } {
  const values = [above, upTo].filter((bound) => bound !== null);
  const lower = above === null ? [] : [`${id} > $1`];
  const upper = upTo === null ? [] : [`${id} <= $${values.length}`];
  return { where: [...lower, ...upper].join(' AND ') || 'true', values };
}

/** Looks up the terms of a page at once, and remembers them. */
function createTerms(query: Query): (ids: readonly number[]) => Promise<(id: number) => Term | undefined> {
  const known = new Map<number, Term>();
  return async (ids) => {
    const fresh = [...new Set(ids)].filter((id) => id > 0 && !known.has(id));
    if (known.size + fresh.length > MOST_TERMS) known.clear();
    const rows = await query<Term & { id: number }>('SELECT id, kind, value FROM terms WHERE id = ANY($1)', [fresh]);
    for (const { id, ...term } of rows) known.set(id, term);
    return (id) => known.get(id);
  };
} // prettier-ignore
