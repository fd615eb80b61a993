import { messageOf } from '../shared/errors.ts';
import type { Clock, Log, ProcessIdentity, ProcessTable } from '../shared/ports.ts';
import type { ActionRun } from './action-run.ts';
import type { RunLedger } from './run-ledger.ts';
import { findRun } from './wait.ts';

/** How long a run without idempotency key waits for a caller that vanished. */
export const UNTOLD_MS = 10 * 60 * 1000;

/** A run whose caller has not been given its id. */
export interface UntoldRun {
  run_id: string;
  /** The process whose answer will name it; null: its caller is gone. */
  teller: ProcessIdentity | null;
  at: number;
}

/** Such runs, in the ledger. `RunLedger.request` adds them, with the intent. */
export interface UntoldRuns {
  /** Those of one call, by the digest of all that makes it the same call, oldest first. */
  find(call: string, since: number): Promise<UntoldRun[]>;
  /** Changes the teller if it is still the one that was seen. */
  pass(seen: UntoldRun, to: ProcessIdentity | null): Promise<boolean>;
  /** Its id was handed over. */
  told(run_id: string): Promise<void>;
}

/** One call and the run it started. Its caller is told by an answer; progress is seen by programs only. */
export interface Telling {
  /** From here on the ledger holds a run that the caller does not know of. */
  of(run: Pick<UntoldRun, 'run_id' | 'at'>): void;
  /** Its answer was handed to the transport. */
  told(): void;
  /** There will be no answer. */
  vanished(): void;
}

export interface Tellings {
  /** `signal` is aborted when the caller is gone. */
  open(signal: AbortSignal): Telling;
  /** The run of an earlier call that was the same and whose caller vanished; it is told to this one. */
  claim(call: string): Promise<{ outcome: 'replayed'; run: ActionRun; age_ms: number } | null>;
}

interface TellingPorts {
  untold: UntoldRuns;
  ledger: Pick<RunLedger, 'find'>;
  processes: ProcessTable;
  clock: Clock;
  log: Log;
}

/** What this process knows before the ledger does: the answer comes first, and is stored after it. */
type Known = 'telling' | 'told' | 'vanished';

export function createTellings(ports: TellingPorts): Tellings {
  const { untold, processes, clock } = ports;
  const known = new Map<string, Known>();

  /** Until it is stored, this process remembers; what it never can store ends with this process or in ten minutes. */
  const store = (run_id: string, state: Known, change: () => Promise<unknown>): void => {
    known.set(run_id, state);
    change().then(
      () => {
        if (known.get(run_id) === state) known.delete(run_id);
      },
      (error: unknown) =>
        ports.log('warn', 'whether a caller knows its run could not be stored', { run: run_id, error: messageOf(error) }),
    );
  }; // prettier-ignore

  /** Whoever lives and has it in hand tells it; of a machine that cannot be seen, nobody knows. */
  const isVacant = ({ run_id, teller }: UntoldRun): boolean => {
    const here = known.get(run_id);
    if (here !== undefined) return here === 'vanished';
    return teller === null || processes.state(teller) !== 'alive';
  };

  return {
    open: (signal) => createTelling({ untold, teller: processes.self(), known, store }, signal),
    async claim(call) {
      const now = clock.now();
      for (const seen of await untold.find(call, now - UNTOLD_MS)) {
        if (!isVacant(seen)) continue;
        // Before the first await: of two such calls here, one claims it.
        known.set(seen.run_id, 'telling');
        const passed = await untold.pass(seen, processes.self()).finally(() => known.delete(seen.run_id));
        if (!passed) continue;
        const run = await findRun(ports.ledger, seen.run_id);
        return { outcome: 'replayed', run, age_ms: Math.max(0, now - seen.at) };
      }
      return null;
    },
  };
}

interface TellingParts {
  untold: UntoldRuns;
  teller: ProcessIdentity;
  known: Map<string, Known>;
  store(run_id: string, state: Known, change: () => Promise<unknown>): void;
}

function createTelling({ untold, teller, known, store }: TellingParts, signal: AbortSignal): Telling {
  let open: Pick<UntoldRun, 'run_id' | 'at'> | null = null;
  const settle = (state: 'told' | 'vanished'): void => {
    if (open === null) return;
    const run = open;
    open = null;
    store(run.run_id, state, () =>
      state === 'told' ? untold.told(run.run_id) : untold.pass({ ...run, teller }, null),
    );
  };
  const vanished = (): void => settle('vanished');
  return {
    of(run) {
      open = run;
      known.set(run.run_id, 'telling');
      if (signal.aborted) vanished();
      else signal.addEventListener('abort', vanished, { once: true });
    },
    told: () => settle('told'),
    vanished,
  };
}
