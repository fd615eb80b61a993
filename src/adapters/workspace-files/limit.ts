/** Runs tasks, at most `width` at a time, in the order they came. */
export type Limit = <T>(task: () => Promise<T>) => Promise<T>;

export function createLimit(width: number): Limit {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      // The place is handed over, so that a newcomer cannot slip in between.
      if (next) next();
      else running -= 1;
    }
  };
}
