import { columnsOf, keyOf } from './labels.ts';
import { middleOf } from './narrow.ts';
import type { Gathered, Grouping } from './summarize.ts';

/** How long the runs of each group took. */
export interface Sizes {
  /** `key` begins with the numbers of the columns that are grouped by. `runs` below 0: so many of those that were added are none. */
  add(place: { key: readonly number[]; state: number; slice: number }, size: number, runs: number): void;
  /** Fills in the groups. */
  tell(): void;
}

type Duration = NonNullable<Gathered['duration']>;

/** The sizes of one group. */
interface Collected {
  add(size: number, runs: number): void;
  duration(): Duration | null;
}

/** Durations as they are, one by one: hardly two of them are the same. */
export function everyOne(): Collected {
  const all: number[] = [];
  return {
    add: (ms) => void all.push(ms),
    duration() {
      const ascending = Float64Array.from(all).sort();
      const at = (share: number): number => ascending[Math.ceil(share * ascending.length) - 1]!;
      return ascending.length === 0 ? null : { p50: at(0.5), p95: at(0.95), max: at(1) };
    },
  };
}

/** Runs by the number of their bucket. */
export function bucketed(): Collected {
  const counts: number[] = [];
  return {
    add(bucket, runs) {
      while (counts.length <= bucket) counts.push(0);
      counts[bucket]! += runs;
    },
    duration() {
      const total = counts.reduce((sum, runs) => sum + runs, 0);
      const at = (share: number): number => {
        let left = Math.ceil(share * total);
        return middleOf(counts.findIndex((runs) => (left -= runs) <= 0));
      };
      return total === 0 ? null : { p50: at(0.5), p95: at(0.95), max: at(1) };
    },
  };
}

type Branches = Map<number, Branches | Collected>;

/** Looked up by numbers, a level for each: there may be two hundred thousand runs to place. */
export function createSizes(
  groups: readonly Gathered[],
  grouping: Grouping,
  collect: () => Collected,
): Sizes {
  const found = new Map<Gathered, Collected>();
  const named = new Map(groups.map((group) => [JSON.stringify(group.key), group]));
  const root: Branches = new Map();
  const columns = placesOf(grouping).by.length;
  const collectedOf = (key: number[], state: number, slice: number): Collected => {
    const group = named.get(JSON.stringify(keyOf({ key, state, slice }, grouping)));
    const collected = (group && found.get(group)) ?? collect();
    if (group) found.set(group, collected);
    return collected;
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
      let collected = branches.get(slice) as Collected | undefined;
      if (!collected) branches.set(slice, (collected = collectedOf(key.slice(0, columns), state, slice)));
      collected.add(size, runs);
    },
    tell() {
      for (const [group, collected] of found) group.duration = collected.duration();
    },
  };
}

/** What a group is told apart by besides slices: its columns, and the state where its status is asked for. */
export function placesOf({ query }: Pick<Grouping, 'query'>): { by: ReturnType<typeof columnsOf>; state: boolean } {
  return { by: columnsOf(query.group_by), state: query.group_by.includes('status') };
} // prettier-ignore
