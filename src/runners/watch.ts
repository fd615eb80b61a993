import { randomUUID } from 'node:crypto';
import type { LedgerWatch } from '../runs/run-ledger.ts';
import type { Clock } from '../shared/ports.ts';
import { createWaiters } from '../shared/waiters.ts';
import { LONGEST_POLL_MS } from './protocol.ts';

/** Whoever polls comes back within this, so that nothing that changed in between is missed. */
const KEPT_MS = 60_000;

/** One look at the ledger for all runners that wait for a change of it. */
export interface RunnerWatch {
  /** Resolves with a mark for the next call, once something may have changed since the mark, or after `max_ms`. */
  changed(wait: { since: string | null; max_ms: number; signal: AbortSignal }): Promise<string>;
  /** Nobody waits any longer. */
  close(): void;
}

export function createRunnerWatch(watch: LedgerWatch, clock: Pick<Clock, 'now'>): RunnerWatch {
  // Marks of another process, or of one that was restarted, say nothing here.
  const process = randomUUID();
  const closed = new AbortController();
  const waiters = createWaiters();
  let changes = 0;
  let asked_at = 0;
  let looking: Promise<void> | null = null;
  const mark = (): string => `${process}:${changes}`;

  const look = async (): Promise<void> => {
    while (!closed.signal.aborted && Math.abs(clock.now() - asked_at) < KEPT_MS) {
      await watch.changed(LONGEST_POLL_MS, closed.signal);
      changes += 1;
      waiters.wake();
    }
  };

  return {
    async changed({ since, max_ms, signal }) {
      asked_at = clock.now();
      looking ??= look().finally(() => (looking = null));
      if (since !== null && since.startsWith(process) && since !== mark()) return mark();
      if (closed.signal.aborted || signal.aborted || max_ms === 0) return mark();
      await waiters.wait(max_ms, signal, closed.signal);
      return mark();
    },
    close: () => closed.abort(),
  };
}
