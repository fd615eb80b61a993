import { LONGEST_POLL_MS } from '../../runners/protocol.ts';
import type { LedgerWatch } from '../../runs/run-ledger.ts';
import type { Clock } from '../../shared/ports.ts';
import { timeLimit } from '../../shared/time-limit.ts';
import { createWaiters } from '../../shared/waiters.ts';
import type { Wire } from './wire.ts';

/** After a poll that failed. */
const AGAIN_MS = 1_000;
/** What the network may take besides. */
const SLACK_MS = 5_000;

export interface Watch extends LedgerWatch {
  close(): void;
}

/** One request that waits at the server for all that wait here. */
export function createWatch(wire: Pick<Wire, 'once'>, clock: Pick<Clock, 'sleep'>): Watch {
  const waiters = createWaiters();
  const closed = new AbortController();
  let since: string | null = null;
  let polling: Promise<void> | null = null;

  const poll = async (): Promise<void> => {
    const asked = { since, max_ms: LONGEST_POLL_MS };
    const limit = timeLimit(LONGEST_POLL_MS + SLACK_MS, closed.signal);
    const answer = await wire.once('watch', asked, limit);
    if (since === answer.since) return;
    since = answer.since;
    waiters.wake();
  };
  const loop = async (): Promise<void> => {
    while (waiters.count() > 0 && !closed.signal.aborted) {
      await poll().catch(() => clock.sleep(AGAIN_MS, closed.signal));
    }
  };

  return {
    async changed(max_ms, signal) {
      const waited = waiters.wait(max_ms, signal);
      polling ??= loop().finally(() => (polling = null));
      await waited;
    },
    close() {
      closed.abort();
      waiters.wake();
    },
  };
}
