import type { ApiFault } from './api-error.ts';
import { pauseAfter } from './attempt.ts';

/** These are about the API or its key, whatever was asked: nothing else is worth trying meanwhile. */
const OF_THE_API: readonly ApiFault[] = ['unreachable', 'busy', 'credentials'];
/** Others may be about one report; so many in a row are about the API. */
const IN_A_ROW = 3;
const LONGEST_PAUSE_MS = 60_000;

export interface Health {
  /** When it answered last; null: not yet. */
  last_ok_at: number | null;
  /** Since when it has not; null: it does, or was not asked. */
  down_since: number | null;
  problem: string | null;
}

/** What this process knows of one API: while it is away, one report at a time asks whether it is back. */
export interface EndpointHealth extends Health {
  paused(now: number): boolean;
  /** While it does not answer, one is enough to find out. */
  atOnce(most: number): number;
  ok(now: number): void;
  failed(failure: {
    fault: ApiFault;
    says: string;
    now: number;
    random: number;
    retry_after_ms: number | null;
  }): void;
}

export function createHealth(): EndpointHealth {
  let failures = 0;
  let until = 0;
  const health: EndpointHealth = {
    last_ok_at: null,
    down_since: null,
    problem: null,
    paused: (now) => now < until,
    atOnce: (most) => (health.down_since === null ? most : 1),
    ok(now) {
      [failures, until] = [0, 0];
      health.last_ok_at = now;
      health.down_since = health.problem = null;
    },
    failed({ fault, says, now, random, retry_after_ms }) {
      failures += 1;
      const counted = OF_THE_API.includes(fault) ? failures : failures - IN_A_ROW + 1;
      if (counted < 1) return;
      health.down_since ??= now;
      health.problem = says;
      const pause = pauseAfter(counted, random, LONGEST_PAUSE_MS);
      // Who says when to come again is believed; each report has a pause of its own besides.
      until =
        now +
        (fault === 'busy' && retry_after_ms !== null ? retry_after_ms : Math.max(pause, retry_after_ms ?? 0));
    },
  };
  return health;
}
