/** Runs tasks, at most `width` at a time, in the order they came. */
export type Limit = <T>(task: () => Promise<T>) => Promise<T>;

export function createLimit(width: number): Limit {
  let running = 0;
  // A set keeps its order and forgets its first member in constant time, which an array does not.
  const waiting = new Set<() => void>();
  return async (task) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.add(resolve));
    else running += 1;
    try {
      return await task();
    } finally {
      const [next] = waiting;
      // The place is handed over, so that a newcomer cannot slip in between.
      if (next) {
        waiting.delete(next);
        next();
      } else running -= 1;
    }
  };
}
