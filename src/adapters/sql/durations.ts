import { fromCube, partsOf, type Piece } from './counts.ts';
import { DAY } from './cubes.ts';
import { columnsOf } from './labels.ts';
import { middleOf } from './narrow.ts';
import { createSizes, placesOf, type Sizes } from './sizes.ts';
import { ask, list, type Steps } from './steps.ts';
import type { Gathered, Grouping } from './summarize.ts';
import { fewUnits, fromUnits } from './unit-durations.ts';
import { conditionsOf, type Where } from './where.ts';

/** So many runs are read one by one; of more, how many of each size there are is enough. */
export const MOST_EXACT = 200_000;

/** Fills in the durations of the groups that are shown. True: they are approximate. */
export function* durationsOf(groups: readonly Gathered[], grouping: Grouping): Steps<boolean> {
  const runs = groups.reduce((sum, group) => sum + group.runs, 0);
  if (runs === 0) return false;
  const wanted = new Set(groups.flatMap(({ rows }) => rows.map(({ slice }) => slice)));
  const slices = grouping.slices.filter(({ slice }) => wanted.has(slice));
  const extent = extentOf(groups);
  const whole = { ...grouping, where: narrowed(groups, grouping), slices };
  const own = { ...whole, slices: extent(slices) };
  const sizes = createSizes(groups, grouping);
  const units = runs <= MOST_EXACT ? yield* fewUnits(runs, own) : null;
  if (units) yield* fromUnits(units, own, sizes);
  else if (runs <= MOST_EXACT) yield* fromRuns(own, 'duration_ms', sizes);
  else yield* fromCounts(whole, { extent, sizes });
  sizes.tell(runs <= MOST_EXACT ? (ms) => ms : middleOf);
  return runs > MOST_EXACT;
}

/** Only what the groups that are shown are made of. */
function narrowed(groups: readonly Gathered[], { where, query }: Grouping): Where {
  const columns = new Map(where.columns);
  for (const [n, column] of columnsOf(query.group_by).entries()) {
    const numbers = new Set(groups.flatMap(({ rows }) => rows.map(({ key }) => key[n]!)));
    columns.set(column, [...numbers]);
  }
  return { ...where, columns };
}

/** What is left of pieces of time, because nothing began outside of the groups' first and last. */
function extentOf(groups: readonly Gathered[]): (pieces: readonly Piece[]) => Piece[] {
  const first = Math.min(...groups.map((group) => group.first));
  const end = Math.max(...groups.map((group) => group.last)) + 1;
  return (pieces) =>
    pieces
      .map(({ slice, since, until }) => ({
        slice,
        since: Math.max(since, first),
        until: Math.min(until, end),
      }))
      .filter(({ since, until }) => since < until);
}

/** The less of time is left out at its ends, the longer slots answer. */
function* fromCounts(
  grouping: Grouping,
  { extent, sizes }: { extent: ReturnType<typeof extentOf>; sizes: Sizes },
): Steps<void> {
  const { where, slices } = grouping;
  const { by, state } = placesOf(grouping);
  const columns = [...by, 'bucket' as const];
  const { parts, rest } = yield* partsOf(where, { by: columns, slices, unended: true });
  for (const part of parts) {
    for (const row of yield* fromCube(where, { ...part, by: columns, state })) {
      const bucket = row.key.at(-1)!;
      if (bucket > 0) sizes.add({ ...row, key: row.key.slice(0, -1) }, bucket, row.runs);
    }
  }
  yield* fromRuns({ ...grouping, slices: extent(rest) }, 'bucket', sizes);
}

/**
 * The runs of a piece of time come as one text of numbers: neither database has to sort them by group, and they are
 * one row instead of a hundred thousand.
 */
function* fromRuns(grouping: Grouping, size: 'duration_ms' | 'bucket', sizes: Sizes): Steps<void> {
  const { by, state } = placesOf(grouping);
  const { text, values } = conditionsOf(grouping.where);
  const numbers = [...by, ...(state ? ['state'] : []), size].map((column) => `CAST(c.${column} AS text)`);
  for (const pieces of portions(grouping.slices)) {
    const rows = yield* ask<{ slice: number; found: string | null }>(
      `WITH pieces (slice, since, until) AS (VALUES ${pieces.map(pieceText).join(', ')})
       SELECT p.slice AS slice, (SELECT string_agg(${numbers.join(` || ',' || `)}, ',') FROM narrow_runs c
         WHERE c.start >= p.since AND c.start < p.until AND c.duration_ms IS NOT NULL${text}) AS found FROM pieces p`,
      values,
    );
    for (const { slice, found } of rows) {
      eachTuple(found ?? '', numbers.length, (tuple) => {
        const place = { key: tuple.slice(0, by.length), state: state ? tuple[by.length]! : 0, slice };
        sizes.add(place, tuple.at(-1)!, 1);
      });
    }
  }
} // prettier-ignore

function pieceText({ slice, since, until }: Piece): string {
  return `(${list([slice])}, CAST(${list([since])} AS bigint), CAST(${list([until])} AS bigint))`;
}

/** So much time is one row, and that much one statement, so that texts stay short however much was run. */
const [ROW_MS, STATEMENT_MS, STATEMENT_ROWS] = [16 * DAY, 400 * DAY, 1_000];

function portions(slices: readonly Piece[]): Piece[][] {
  const portions: Piece[][] = [];
  let room = 0;
  for (const { slice, since, until } of slices) {
    for (let from = since; from < until; from += ROW_MS) {
      const piece = { slice, since: from, until: Math.min(from + ROW_MS, until) };
      if (room <= 0 || portions.at(-1)!.length >= STATEMENT_ROWS) {
        portions.push([]);
        room = STATEMENT_MS;
      }
      portions.at(-1)!.push(piece);
      room -= piece.until - piece.since;
    }
  }
  return portions;
}

/** Numbers of a text, so many at a time; the list is the same each time. */
export function eachTuple(text: string, length: number, take: (tuple: readonly number[]) => void): void {
  const tuple: number[] = new Array<number>(length).fill(0);
  let [n, value, sign] = [0, 0, 1];
  for (let at = 0; at <= text.length && text !== ''; at += 1) {
    const code = at < text.length ? text.charCodeAt(at) : COMMA;
    if (code === MINUS) sign = -1;
    else if (code !== COMMA) value = value * 10 + code - ZERO;
    else {
      tuple[n] = sign * value;
      [n, value, sign] = [n + 1, 0, 1];
      if (n < length) continue;
      n = 0;
      take(tuple);
    }
  }
}

const [COMMA, MINUS, ZERO] = [44, 45, 48];
