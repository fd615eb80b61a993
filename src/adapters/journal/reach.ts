import { awayText } from '../../runs/outage.ts';
import { AppError } from '../../shared/errors.ts';
import type { Clock, Log } from '../../shared/ports.ts';

const LOOK_AGAIN_MS = 1_000;
/** A call that has no answer by then makes us look beside it; it goes on waiting for its own. */
const LOOK_AFTER_MS = 2_000;

/** What this process knows of a database that may be away. */
export interface Reach {
  /** Since when it is away; null: it answers, as far as is known. Looks first if nobody did yet. */
  away(): Promise<number | null>;
  /** What it answers. A call without an answer makes us look. */
  try<T>(call: () => Promise<T>): Promise<T>;
  /** The same, and fails at once while it is known to be away. */
  ask<T>(call: () => Promise<T>): Promise<T>;
  close(): void;
}

export interface ReachPorts {
  /** The cheapest question there is, on connections of its own and without patience. */
  look(): Promise<unknown>;
  /** The error says that nobody answered. */
  isGone(error: unknown): boolean;
  clock: Clock;
  log: Log;
}

/** For who never takes the journal instead. */
export const ALWAYS_THERE: Reach = {
  away: async () => null,
  try: (call) => call(),
  ask: (call) => call(),
  close: () => undefined,
};

/** The database counts as away from a look that found nobody until one that finds it again. */
export function createReach({ look: ask, isGone, clock, log }: ReachPorts): Reach {
  const closing = new AbortController();
  let since: number | null = null;
  let first: Promise<void> | null = null;
  let looking: Promise<void> | null = null;

  const answers = (): Promise<boolean> =>
    ask().then(
      () => true,
      // Whoever refuses is there.
      (error: unknown) => !isGone(error),
    );
  const lookNow = (): Promise<void> => (looking ??= look().finally(() => (looking = null)));
  const look = async (): Promise<void> => {
    if (since !== null || closing.signal.aborted || (await answers()) || since !== null) return;
    since = clock.now();
    log('warn', 'the database of the ledger is away: what may run is journalled on this machine');
    void untilBack();
  };
  const untilBack = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await clock.sleep(LOOK_AGAIN_MS, closing.signal);
      if (!(await answers())) continue;
      since = null;
      return log('info', 'the database of the ledger is back');
    }
  };
  const away = async (): Promise<number | null> => {
    await (first ??= lookNow());
    return since;
  };
  const attempt = async <T>(call: () => Promise<T>): Promise<T> => {
    const answered = new AbortController();
    const late = clock.sleep(LOOK_AFTER_MS, answered.signal);
    void late.then(() => (answered.signal.aborted ? undefined : lookNow()));
    try {
      return await call();
    } catch (error) {
      if (isGone(error)) await lookNow();
      throw error;
    } finally {
      answered.abort();
    }
  };
  return {
    away,
    try: attempt,
    async ask(call) {
      const known = await away();
      if (known !== null) throw unreachable(known);
      return await attempt(call);
    },
    close: () => closing.abort(),
  };
}

export function unreachable(since: number): AppError {
  return new AppError('ledger_unavailable', `the ledger cannot be asked: ${awayText(since)}`, {
    next: 'what was journalled on this machine since then can be asked for; try again when the database is back',
  });
}
