import { columnsOf, keyOf } from './labels.ts';
import type { Gathered, Grouping } from './summarize.ts';

/** How many runs of each group have which duration, or which bucket of durations. */
export interface Sizes {
  /** `key` begins with the numbers of the columns that are grouped by. `runs` below 0: so many of those that were added are none. */
  add(place: { key: readonly number[]; state: number; slice: number }, size: number, runs: number): void;
  /** Fills in the groups; `ms` makes a duration of a size. */
  tell(ms: (size: number) => number): void;
}

type Counts = Map<number, number>;
type Branches = Map<number, Branches | Counts>;

/** Looked up by numbers, a level for each: there may be two hundred thousand runs to place. */
export function createSizes(groups: readonly Gathered[], grouping: Grouping): Sizes {
  const found = new Map<Gathered, Counts>();
  const named = new Map(groups.map((group) => [JSON.stringify(group.key), group]));
  const root: Branches = new Map();
  const columns = placesOf(grouping).by.length;
  const countsOf = (key: number[], state: number, slice: number): Counts => {
    const group = named.get(JSON.stringify(keyOf({ key, state, slice }, grouping)));
    const counts = (group && found.get(group)) ?? new Map<number, number>();
    if (group) found.set(group, counts);
    return counts;
  };
  return {
    add({ key, state, slice }, size, runs) {
      let branches = root;
      for (let n = 0; n <= columns; n += 1) {
        const number = n < columns ? key[n]! : state;
        let next = branches.get(number) as Branches | undefined;
        if (!next) branches.set(number, (next = new Map()));
        branches = next;
      }
      let counts = branches.get(slice) as Counts | undefined;
      if (!counts) branches.set(slice, (counts = countsOf(key.slice(0, columns), state, slice)));
      counts.set(size, (counts.get(size) ?? 0) + runs);
    },
    tell(ms) {
      for (const [group, counts] of found) {
        for (const [size, runs] of counts) if (runs === 0) counts.delete(size);
        if (counts.size > 0) group.duration = percentiles(counts, ms);
      }
    },
  };
}

/** What a group is told apart by besides slices: its columns, and the state where its status is asked for. */
export function placesOf({ query }: Pick<Grouping, 'query'>): { by: ReturnType<typeof columnsOf>; state: boolean } {
  return { by: columnsOf(query.group_by), state: query.group_by.includes('status') };
} // prettier-ignore

function percentiles(counts: Counts, ms: (size: number) => number): NonNullable<Gathered['duration']> {
  const ascending = Float64Array.from(counts.keys()).sort();
  let total = 0;
  for (const runs of counts.values()) total += runs;
  const at = (share: number): number => {
    let left = Math.ceil(share * total);
    return ms(ascending.find((size) => (left -= counts.get(size)!) <= 0)!);
  };
  return { p50: at(0.5), p95: at(0.95), max: ms(ascending.at(-1)!) };
}
