import type { RunQuery } from '../../history/search.ts';
import { countedUntil, cut, END, spanOf, type Piece } from './counts.ts';
import { cubesFor, KEYS } from './cubes.ts';
import { hitsOf } from './hits.ts';
import { CLASS_SIZE } from './narrow.ts';
import { ask, list, type Steps } from './steps.ts';
import { conditionsOf, type Clause, type Where } from './where.ts';

export type PageQuery = Pick<RunQuery, 'order' | 'limit' | 'after'>;

export interface Found {
  value: number;
  id: string;
  record: string;
}

/** One row more than the page has, if there is one. `total`: how many runs there are, where that is known. */
export function* page(query: PageQuery, where: Where, total = Infinity): Steps<Found[]> {
  if (!where.possible) return [];
  if (query.order === 'longest') return yield* longest(query, where);
  const hits = yield* hitsOf(where, total);
  if (hits) return yield* amongHits(query, hits);
  const wanted = query.limit + 1;
  const found: Found[] = [];
  for (const piece of yield* piecesOf(query, where)) {
    found.push(...(yield* rowsOf(query, where, { piece, limit: wanted - found.length })));
    if (found.length >= wanted) break;
  }
  return found;
}

/**
 * Where to look, in the order of the page. Where a cube tells in which slots such runs began, only those are
 * looked at, so that a page of a few among millions takes no longer than one of many.
 */
function* piecesOf({ order, after, limit }: PageQuery, where: Where): Steps<Piece[]> {
  const span = spanOf(where.span);
  if (after && order === 'newest') span.until = Math.min(span.until, after.value + 1);
  if (after && order === 'oldest') span.since = Math.max(span.since, after.value);
  const named = where.columns.size > 0 || (where.states?.length ?? 0) < CLASS_SIZE;
  const cube = named ? (cubesFor([...where.columns.keys()]).at(-1) ?? null) : null;
  const counted = cube ? yield* countedUntil() : 0;
  const { whole, rest } = cube ? cut([span], cube, counted) : { whole: [], rest: [span] };
  const pieces = [...rest];
  if (cube && whole.length > 0) {
    const { since, until } = whole[0]!;
    const conditions = [...where.columns].map(
      ([column, numbers]) => `${KEYS[cube.columns.indexOf(column)]!} IN (${list(numbers)})`,
    );
    if (where.states) conditions.push(`state IN (${list(where.states)})`);
    for (const key of KEYS.slice(cube.columns.length)) conditions.push(`${key} = 0`);
    // Clauses may leave less of a slot than its count says, so only without them a number of slots is enough: one for each
    // run, and one of which everything may be on the page before.
    const enough = where.clauses.length > 0 ? '' : ` LIMIT ${limit + (after ? 2 : 1)}`;
    const slots = yield* ask<{ slot: number }>(
      `SELECT slot FROM run_counts WHERE cube = ${cube.id} AND slot >= ${since} AND slot < ${until}
       ${conditions.map((text) => `AND ${text}`).join(' ')} GROUP BY slot
       ORDER BY slot ${order === 'oldest' ? 'ASC' : 'DESC'}${enough}`,
    );
    const { slot_ms } = cube;
    pieces.push(...slots.map(({ slot }) => ({ slice: 0, since: slot * slot_ms, until: (slot + 1) * slot_ms })));
  }
  return joined(pieces.sort((a, b) => (order === 'oldest' ? a.since - b.since : b.since - a.since)));
} // prettier-ignore

/** Neighbours as one piece; long rows of them are looked through in one statement. */
function joined(pieces: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (const piece of pieces) {
    const last = result.at(-1);
    if (last && last.since === piece.until) last.since = piece.since;
    else if (last && last.until === piece.since) last.until = piece.until;
    else result.push({ ...piece });
  }
  return result;
}

const RUNS = 'narrow_runs c CROSS JOIN runs r';

/** Only of those that are on the page the records are read. */
function amongHits({ order, after, limit }: PageQuery, hits: Clause): Steps<Found[]> {
  const [direction, beyond, end, bound] = order === 'oldest' ? ['ASC', '>', 'max', END] : ['DESC', '<', 'min', -END];
  const next = after ? ` WHERE start ${beyond} ?` : '';
  const behind = after ? ` AND (h.start ${beyond} ? OR (h.start = ? AND r.id ${beyond} ?))` : '';
  return ask<Found>(
    `WITH hits (start, n) AS (${hits.text}), top (start) AS (SELECT start FROM hits${next} ORDER BY start ${direction} LIMIT ${limit + 1})
     SELECT h.start AS value, r.id AS id, r.record AS record FROM hits h CROSS JOIN runs r
     WHERE r.n = h.n AND h.start ${beyond === '>' ? '<=' : '>='} coalesce((SELECT ${end}(start) FROM top), ${list([bound])})${behind}
     ORDER BY h.start ${direction}, r.id ${direction} LIMIT ${limit + 1}`,
    [...hits.values, ...(after ? [after.value, after.value, after.value, after.id] : [])],
  );
} // prettier-ignore

function rowsOf(
  { order, after }: Pick<RunQuery, 'order' | 'after'>,
  where: Where,
  { piece: { since, until }, limit }: { piece: Piece; limit: number },
): Steps<Found[]> {
  const { text, values } = conditionsOf(where);
  const [direction, beyond] = order === 'oldest' ? ['ASC', '>'] : ['DESC', '<'];
  const behind = after ? ` AND (c.start ${beyond} ? OR (c.start = ? AND r.id ${beyond} ?))` : '';
  return ask<Found>(
    `SELECT c.start AS value, r.id AS id, r.record AS record FROM ${RUNS}
     WHERE c.start >= ${since} AND c.start < ${until} AND r.n = c.n${text}${behind}
     ORDER BY c.start ${direction}, r.id ${direction} LIMIT ${limit}`,
    [...values, ...(after ? [after.value, after.value, after.id] : [])],
  );
}

const DURATION = 'coalesce(c.duration_ms, 0)';

/** First how long the shortest of the page is, by the narrow rows alone, then the runs from there on. */
function* longest({ after, limit }: PageQuery, where: Where): Steps<Found[]> {
  const { text, values } = conditionsOf(where);
  const { since, until } = spanOf(where.span);
  const span = `c.start >= ${since} AND c.start < ${until}`;
  const [least] = yield* ask<{ value: number; rows: number }>(
    `SELECT min(value) AS value, count(*) AS rows FROM (
       SELECT ${DURATION} AS value FROM narrow_runs c WHERE ${span}${text}${after ? ` AND ${DURATION} < ?` : ''}
       ORDER BY ${DURATION} DESC LIMIT ${limit + 1}) AS top`,
    [...values, ...(after ? [after.value] : [])],
  );
  const from = least!.rows > limit ? least!.value : -END;
  return yield* ask<Found>(
    `SELECT ${DURATION} AS value, r.id AS id, r.record AS record FROM ${RUNS}
     WHERE ${span} AND r.n = c.n AND ${DURATION} >= ?${text}
       ${after ? `AND (${DURATION} < ? OR (${DURATION} = ? AND r.id < ?))` : ''}
     ORDER BY ${DURATION} DESC, r.id DESC LIMIT ${limit + 1}`,
    [from, ...values, ...(after ? [after.value, after.value, after.id] : [])],
  );
}
