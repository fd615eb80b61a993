/** Those who wait for the same thing to happen. */
export interface Waiters {
  /** Resolves when woken, after `max_ms`, or when one of the signals says so. */
  wait(max_ms: number, ...signals: (AbortSignal | undefined)[]): Promise<void>;
  /** All who wait now. */
  wake(): void;
  count(): number;
}

export function createWaiters(): Waiters {
  const waiting = new Set<() => void>();
  return {
    wait: (max_ms, ...signals) =>
      new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          waiting.delete(done);
          for (const signal of signals) signal?.removeEventListener('abort', done);
          resolve();
        };
        const timer = setTimeout(done, max_ms);
        waiting.add(done);
        for (const signal of signals) signal?.addEventListener('abort', done, { once: true });
        if (signals.some((signal) => signal?.aborted)) done();
      }),
    wake() {
      for (const done of [...waiting]) done();
    },
    count: () => waiting.size,
  };
}
