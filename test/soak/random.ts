/** A seed gives the same choices again; what the machine does in between is its own. */
export interface Random {
  /** 0 ≤ n < 1. */
  next(): number;
  below(n: number): number;
  of<T>(list: readonly T[]): T;
  /** One of the names, each as often as its weight. */
  weighed<K extends string>(weights: Record<K, number>): K;
  chance(probability: number): boolean;
}

/** mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return {
    next,
    below,
    of: (list) => list[below(list.length)]!,
    weighed(weights) {
      const entries = Object.entries(weights) as [keyof typeof weights, number][];
      let left = next() * entries.reduce((total, [, weight]) => total + weight, 0);
      for (const [name, weight] of entries) if ((left -= weight) < 0) return name;
      return entries[0]![0];
    },
    chance: (probability) => next() < probability,
  };
}
