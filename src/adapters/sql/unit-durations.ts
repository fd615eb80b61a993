import { countRows, type Piece } from './counts.ts';
import { placesOf, type Sizes } from './sizes.ts';
import { UNIT_COLUMNS } from './spans.ts';
import { ask, list, type Steps } from './steps.ts';
import type { Grouping } from './summarize.ts';
import { eachTuple } from './tuples.ts';
import { conditionsOf, type Where } from './where.ts';

// The index of runs by unit has their durations, so that those of a few units are not looked for among all runs.

const COLUMNS: readonly string[] = [...UNIT_COLUMNS, 'action'];
/** Reading a run through its unit costs so many times what it costs in a row of all. */
const DEARER = 4;
const BATCH = 500;

/** More units than this are not looked through one by one. */
const MOST_UNITS = 5_000;

type Rows = readonly ({ unit: number } & Record<string, number>)[];

/** The units of the runs that are asked for; null: they do not tell those apart, or are not few among those of their time. */
export function* fewUnits(runs: number, { where, query, slices }: Grouping): Steps<Rows | null> {
  const { by } = placesOf({ query });
  const columns = [...by, ...where.columns.keys()];
  if (where.clauses.length > 0 || where.columns.size === 0 || slices.length === 0) return null;
  if (!columns.every((column) => COLUMNS.includes(column))) return null;
  const everything: Where = { ...where, columns: new Map(), states: null };
  const { since, until } = hullOf(slices);
  const rows = yield* countRows(everything, { by: [], slices: [{ slice: 0, since, until }] });
  if (runs * DEARER >= rows.reduce((sum, row) => sum + row.runs, 0)) return null;
  const ofUnit = [...where.columns].filter(([column]) => column !== 'action');
  const fits = ofUnit.map(([column, numbers]) => ` AND x.${column} IN (${list(numbers)})`).join('');
  const named = by.filter((column) => column !== 'action');
  const units = yield* ask<Rows[number]>(
    `SELECT x.unit AS unit${named.map((column) => `, x.${column} AS ${column}`).join('')} FROM unit_spans x
     WHERE x.action = 0 AND x.first_run < ${list([until])} AND x.last_run >= ${list([since])}${fits} LIMIT ${MOST_UNITS + 1}`,
  );
  return units.length > MOST_UNITS ? null : units;
} // prettier-ignore

function hullOf(slices: readonly Piece[]): Pick<Piece, 'since' | 'until'> {
  return { since: slices[0]!.since, until: slices.at(-1)!.until };
}

/** Durations of the runs of all slices, by their units. */
export function* fromUnits(units: Rows, grouping: Grouping, sizes: Sizes): Steps<void> {
  const { where, slices } = grouping;
  const { by, state } = placesOf(grouping);
  const { since, until } = hullOf(slices);
  // Told of a run is only what tells groups apart: of two hundred thousand that is most of the work.
  const members = [
    ...(slices.length > 1 ? ['start'] : []),
    ...(by.includes('action') ? ['action'] : []),
    ...(state ? ['state'] : []),
    'duration_ms',
  ];
  const [atStart, atAction, atState] = [members.indexOf('start'), members.indexOf('action'), members.indexOf('state')];
  const take: Take = (found, key) =>
    eachTuple(found ?? '', members.length, (tuple) => {
      const slice = atStart < 0 ? slices[0]!.slice : sliceAt(slices, tuple[atStart]!);
      if (slice === null) return;
      sizes.add({ key: key(tuple[atAction]), state: state ? tuple[atState]! : 0, slice }, tuple.at(-1)!, 1);
    });
  const tuples = `string_agg(${members.map((member) => `CAST(c.${member} AS text)`).join(` || ',' || `)}, ',')`;
  const within = `c.start >= ${list([since])} AND c.start < ${list([until])} AND c.state IN (${list(where.states!)})`;
  const actions = where.columns.get('action');
  for (let from = 0; from < units.length; from += BATCH) {
    const batch = units.slice(from, from + BATCH);
    const rows = yield* ask<{ look: number; found: string | null }>(
      `WITH looks (look, unit) AS (VALUES ${batch.map(({ unit }, look) => `(${list([look, unit])})`).join(', ')})
       SELECT l.look AS look, (SELECT ${tuples} FROM narrow_runs c WHERE c.unit = l.unit AND ${within}
         AND c.duration_ms IS NOT NULL${actions ? ` AND c.action IN (${list(actions)})` : ''}) AS found FROM looks l`,
    );
    for (const { look, found } of rows) {
      take(found, (action) => by.map((column) => (column === 'action' ? action! : batch[look]![column]!)));
    }
  }
  yield* withoutUnit(grouping, { within, tuples, take });
} // prettier-ignore

/** Takes the runs of a text; `key`: what they are grouped by, with the action of each where it is told. */
type Take = (found: string | null, key: (action: number | undefined) => number[]) => void;

/** Runs without a block are of no unit. */
function* withoutUnit(
  { where, query }: Grouping,
  { within, tuples, take }: { within: string; tuples: string; take: Take },
): Steps<void> {
  if (where.columns.get('block')?.includes(0) === false) return;
  const { by } = placesOf({ query });
  const { text, values } = conditionsOf(where);
  const grouped = by.map((column) => `c.${column}`);
  const rows = yield* ask<{ found: string | null } & Record<string, number>>(
    `SELECT ${grouped.map((column, n) => `${column} AS g${n}, `).join('')}${tuples} AS found FROM narrow_runs c
     WHERE c.unit = 0 AND ${within} AND c.duration_ms IS NOT NULL${text}${grouped.length > 0 ? ` GROUP BY ${grouped.join(', ')}` : ''}`,
    values,
  );
  for (const row of rows) take(row.found, () => by.map((_, n) => row[`g${n}`]!));
} // prettier-ignore

/** By halves: there may be thousands of slices. */
function sliceAt(slices: readonly Piece[], start: number): number | null {
  let [low, high] = [0, slices.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const { slice, since, until } = slices[middle]!;
    if (start < since) high = middle - 1;
    else if (start >= until) low = middle + 1;
    else return slice;
  }
  return null;
}
