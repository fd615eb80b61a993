import { countedUntil, statesText, type Piece } from './counts.ts';
import { cubesFor, DAY } from './cubes.ts';
import { columnsOf } from './labels.ts';
import { nearest, type Known, type Stretch } from './nearest.ts';
import { bucketed, createSizes, everyOne, placesOf, type Sizes } from './sizes.ts';
import { fromSlots } from './slot-sizes.ts';
import { ask, list, type Steps } from './steps.ts';
import type { Gathered, Grouping } from './summarize.ts';
import { eachTuple } from './tuples.ts';
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
  const whole = { ...grouping, where: narrowed(groups, grouping), slices };
  const own = { ...whole, slices: withinEnds(slices, groups) };
  const isExact = runs <= MOST_EXACT;
  const sizes = createSizes(groups, grouping, isExact ? everyOne : bucketed);
  const units = isExact ? yield* fewUnits(runs, own) : null;
  if (units) yield* fromUnits(units, own, sizes);
  else if (isExact) yield* fromRuns({ ...own, stretches: own.slices.map(onceOf) }, 'duration_ms', sizes);
  else yield* fromCounts(whole, sizes);
  sizes.tell();
  return !isExact;
} // prettier-ignore

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
function withinEnds(pieces: readonly Piece[], groups: readonly Gathered[]): Piece[] {
  const first = Math.min(...groups.map((group) => group.first));
  const end = Math.max(...groups.map((group) => group.last)) + 1;
  return pieces
    .map(({ slice, since, until }) => ({ slice, since: Math.max(since, first), until: Math.min(until, end) }))
    .filter(({ since, until }) => since < until);
}

function onceOf({ slice, since, until }: Piece): Stretch {
  return { since, until, of: [[slice, 1]] };
}

function* fromCounts(grouping: Grouping, sizes: Sizes): Steps<void> {
  const known = yield* knownOf(grouping);
  const { slots, runs } = nearest(grouping.slices, known);
  for (const one of slots) yield* fromSlots(one, { grouping, known, sizes });
  yield* fromRuns({ ...grouping, stretches: runs }, 'bucket', sizes);
}

// Apart, so that each is one look into the index.
const RUNS_FROM_TO =
  'SELECT (SELECT min(start) FROM narrow_runs) AS oldest, (SELECT max(start) FROM narrow_runs) AS newest';

function* knownOf({ where, query }: Grouping): Steps<Known> {
  const columns = [...placesOf({ query }).by, ...where.columns.keys(), 'bucket' as const];
  const cubes = where.clauses.length > 0 ? [] : cubesFor(columns);
  const [ends] = yield* ask<{ oldest: number; newest: number }>(RUNS_FROM_TO);
  return { cubes, counted: yield* countedUntil(), ...ends! };
}

/**
 * The runs of a piece of time come as one text of numbers: neither database has to sort them by group, and they are
 * one row instead of a hundred thousand.
 */
function* fromRuns(
  { stretches, where, query }: Pick<Grouping, 'where' | 'query'> & { stretches: readonly Stretch[] },
  size: 'duration_ms' | 'bucket',
  sizes: Sizes,
): Steps<void> {
  const { by, state } = placesOf({ query });
  const { text, values } = conditionsOf({ ...where, states: null });
  const numbers = [...by, ...(state ? ['state'] : []), size].map((column) => `CAST(c.${column} AS text)`);
  for (const pieces of portions(stretches)) {
    const rows = yield* ask<{ stretch: number; found: string | null }>(
      `WITH pieces (stretch, since, until) AS (VALUES ${pieces.map(portionText).join(', ')})
       SELECT p.stretch AS stretch, (SELECT string_agg(${numbers.join(` || ',' || `)}, ',') FROM narrow_runs c
         WHERE c.start >= p.since AND c.start < p.until AND c.duration_ms IS NOT NULL
           AND ${statesText('c.state', where.states!)}${text}) AS found FROM pieces p`,
      values,
    );
    for (const { stretch, found } of rows) {
      const { of } = stretches[stretch]!;
      eachTuple(found ?? '', numbers.length, (tuple) => {
        for (const [slice, times] of of) {
          sizes.add({ key: tuple, state: state ? tuple[by.length]! : 0, slice }, tuple.at(-1)!, times);
        }
      });
    }
  }
} // prettier-ignore

/** A part of a stretch, with its number. */
interface Portion {
  stretch: number;
  since: number;
  until: number;
}

function portionText({ stretch, since, until }: Portion): string {
  return `(${list([stretch])}, CAST(${list([since])} AS bigint), CAST(${list([until])} AS bigint))`;
}

/** So much time is one row, and that much one statement, so that texts stay short however much was run. */
const [ROW_MS, STATEMENT_MS, STATEMENT_ROWS] = [16 * DAY, 400 * DAY, 1_000];

function portions(stretches: readonly Stretch[]): Portion[][] {
  const portions: Portion[][] = [];
  let room = 0;
  for (const [stretch, { since, until }] of stretches.entries()) {
    for (let from = since; from < until; from += ROW_MS) {
      const portion = { stretch, since: from, until: Math.min(from + ROW_MS, until) };
      if (room <= 0 || portions.at(-1)!.length >= STATEMENT_ROWS) {
        portions.push([]);
        room = STATEMENT_MS;
      }
      portions.at(-1)!.push(portion);
      room -= portion.until - portion.since;
    }
  }
  return portions;
}
