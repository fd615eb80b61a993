import { statesText, type CountRow } from './counts.ts';
import { cubesFor, KEYS } from './cubes.ts';
import { columnsOf } from './labels.ts';
import { ask, list, type Steps } from './steps.ts';
import type { Gathered, Grouping } from './summarize.ts';
import { conditionsOf } from './where.ts';

type End = 'first' | 'last';

interface Look {
  group: Gathered;
  end: End;
  slot: { since: number; until: number };
}

/** Counts know the slot in which the first and the last run of a group began; the runs of that slot know when. */
export function* exactEnds(groups: readonly Gathered[], grouping: Grouping): Steps<void> {
  const looks = groups.flatMap((group) =>
    (['first', 'last'] as const).flatMap((end): Look[] => {
      const slot = slotAt(group, end);
      return slot ? [{ group, end, slot }] : [];
    }),
  );
  if (looks.length === 0) return;
  yield* refine(looks, grouping);
  const columns = columnsOf(grouping.query.group_by);
  // A group's own states are among those that are asked for.
  const { text, values } = conditionsOf({ ...grouping.where, states: null });
  const statements = looks.map(({ group, end, slot }, look) => {
    const own = columns.map((column, n) => `AND c.${column} IN (${numbersOf(group.rows, n)})`).join(' ');
    return `SELECT ${look} AS look, ${end === 'first' ? 'min' : 'max'}(c.start) AS at FROM narrow_runs c
      WHERE c.start >= ${slot.since} AND c.start < ${slot.until} ${own} AND ${statesOf('c.state', group)}${text}`;
  });
  const bound = looks.flatMap(() => values);
  for (const { look, at } of yield* ask<{ look: number; at: number }>(statements.join('\nUNION ALL '), bound)) {
    looks[look]!.group[looks[look]!.end] = at;
  }
} // prettier-ignore

/** Of a long slot the counts of short ones know the part, so that the few runs of a group are not looked for among many. */
function* refine(looks: readonly Look[], { where, query }: Grouping): Steps<void> {
  const columns = columnsOf(query.group_by);
  const finest = cubesFor([...columns, ...where.columns.keys()]).at(-1);
  if (!finest) return;
  const { id, slot_ms } = finest;
  const long = looks.filter(({ slot: { since, until } }) => until - since > slot_ms);
  if (long.length === 0) return;
  const statements = long.map(({ group, end, slot }, look) => {
    const keys = finest.columns.flatMap((column, n) => {
      const own = columns.indexOf(column as (typeof columns)[number]);
      const numbers = own >= 0 ? numbersOf(group.rows, own) : list(where.columns.get(column as (typeof columns)[number]) ?? []);
      return numbers === '' ? [] : [`AND k.${KEYS[n]!} IN (${numbers})`];
    });
    const none = KEYS.slice(finest.columns.length).map((key) => `AND k.${key} = 0`);
    return `SELECT ${look} AS look, ${end === 'first' ? 'min' : 'max'}(k.slot) AS slot FROM run_counts k
      WHERE k.cube = ${id} AND k.slot >= ${slot.since / slot_ms} AND k.slot < ${slot.until / slot_ms}
        ${[...keys, ...none].join(' ')} AND ${statesOf('k.state', group)}`;
  });
  for (const { look, slot } of yield* ask<{ look: number; slot: number | null }>(statements.join('\nUNION ALL '))) {
    if (slot !== null) long[look]!.slot = { since: slot * slot_ms, until: (slot + 1) * slot_ms };
  }
} // prettier-ignore

function statesOf(column: string, { rows }: Gathered): string {
  return statesText(column, [...new Set(rows.map(({ state }) => state))]);
}

/** The slot to look into; null: the end is known already. */
function slotAt({ rows }: Gathered, end: 'first' | 'last'): { since: number; until: number } | null {
  const bound = rows.reduce((best, row) => (isBeyond(row, best, end) ? row : best));
  const { slot_ms, low, high } = bound;
  if (slot_ms === 0) return null;
  return end === 'first'
    ? { since: low, until: low + slot_ms }
    : { since: high + 1 - slot_ms, until: high + 1 };
}

function isBeyond(row: CountRow, other: CountRow, end: 'first' | 'last'): boolean {
  return end === 'first' ? row.low < other.low : row.high > other.high;
}

function numbersOf(rows: readonly CountRow[], n: number): string {
  return list([...new Set(rows.map(({ key }) => key[n]!))]);
}
