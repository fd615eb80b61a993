import { messageOf } from '../shared/errors.ts';
import { canonicalJson } from '../shared/json.ts';
import type { Clock, Ids, Log } from '../shared/ports.ts';
import type { Intent, IntentRequest } from './run-ledger.ts';
import { createCallBuffer } from './trail-buffer.ts';
import { callsEvent, type Call, type CallOutcome, type CallsEvent } from './trail-event.ts';
import type { Caller } from './start.ts';

/** Calls that only read are stored this much later, many at once. */
const FLUSH_MS = 1_000;
/** After a failure, so that a ledger in trouble is not asked all the time. */
const RETRY_MS = 5_000;
/** How long the answer of a read waits for a ledger that says neither yes nor no. */
const PATIENCE_MS = 1_000;

export interface TrailPorts {
  append(event: CallsEvent): Promise<void>;
  key(): Promise<Uint8Array>;
  /** Arguments without the secrets that this server knows. */
  redact(text: string): string;
  ids: Ids;
  clock: Clock;
  log: Log;
}

/**
 * Records every call. One that only reads waits for nothing while the ledger stored something within the last second.
 * Else nobody knows whether it still can, so the read is stored before its answer, which says if that fails or takes
 * too long. All other calls are durable before they are answered.
 */
export interface CallRecorder {
  begin(call: { tool: string; given: unknown; caller: Caller }): CallEntry;
  /** Of a call that another process has begun, the event that goes with the intent of its run; null: none are recorded. */
  launching(origin: CallOrigin | null, caller: Caller, intent: IntentRequest): Promise<CallsEvent | null>;
  /** Stores what waits. Never rejects: `standing` tells. */
  flush(): Promise<void>;
  standing(): TrailStanding;
  /** The last flush; nothing is recorded afterwards. */
  close(): Promise<void>;
}

export interface TrailStanding {
  recording: boolean;
  /** Why calls cannot be stored at the moment; null: they can, as far as is known. */
  problem: string | null;
  /** Calls that were made and are not stored. */
  waiting: number;
}

export interface CallEnd {
  outcome: CallOutcome;
  code?: string;
  run_id?: string | null;
  /** It only read, and found nothing to object to. */
  reads: boolean;
}

/** A call as it arrived. */
export interface CallOrigin {
  id: string;
  at: number;
  tool: string;
  /** Canonical JSON of the arguments. */
  sent: string;
}

/** One call from its arrival on. */
export interface CallEntry {
  /** Null: calls are not recorded. */
  readonly origin: CallOrigin | null;
  /** Another process has stored it, with the run that it launched. */
  recorded(): void;
  /** Stores the intent with this call and all that wait in one transaction. */
  launch(intent: IntentRequest, request: (intent: IntentRequest) => Promise<Intent>): Promise<Intent>;
  /** Tells how it ended; has no effect after a launch, which was recorded as such. Never rejects. */
  end(how: CallEnd): Promise<void>;
}

interface Begun {
  origin: CallOrigin;
  caller: Caller;
}

const UNRECORDED: CallEntry = {
  origin: null,
  recorded: () => undefined,
  launch: (intent, request) => request(intent),
  end: async () => undefined,
};

/** For an operator who wants no trail. */
export const NO_TRAIL: CallRecorder = {
  begin: () => UNRECORDED,
  launching: async () => null,
  flush: async () => undefined,
  standing: () => ({ recording: false, problem: null, waiting: 0 }),
  close: async () => undefined,
};

export function createCallRecorder(ports: TrailPorts): CallRecorder {
  const { clock, log } = ports;
  const buffer = createCallBuffer(ports.ids);
  const closing = new AbortController();
  let problem: string | null = null;
  let flushing = Promise.resolve();
  let waiting = false;
  let storedAt = -Infinity;
  /** Calls on their way into the ledger. */
  let writing = 0;
  /** The ledger was asked, and did not answer in time. */
  let silent = false;

  const eventOf = async (calls: readonly Call[]): Promise<CallsEvent> =>
    callsEvent(calls, {
      at: clock.now(),
      key: await ports.key(),
      redact: ports.redact,
    });
  const stored = (): void => {
    if (problem !== null) log('info', 'calls are recorded again');
    problem = null;
    storedAt = clock.now();
  };
  /** A clock that was set back makes nothing fresh. */
  const fresh = (): boolean => Math.abs(clock.now() - storedAt) < FLUSH_MS;
  const write = async (): Promise<void> => {
    while (!buffer.empty()) {
      const batch = buffer.take();
      writing = batch.own.length;
      try {
        await ports.append(await eventOf(batch.calls()));
        stored();
      } catch (error) {
        buffer.giveBack(batch);
        if (problem === null) log('warn', 'calls cannot be recorded', { error: messageOf(error) });
        problem = messageOf(error);
        return plan();
      } finally {
        [writing, silent] = [0, false];
      }
    }
  };
  /** One after the other, so that batches are chained in the order of their calls. */
  const flush = (): Promise<void> => (flushing = flushing.then(write));
  const plan = (): void => {
    if (waiting || closing.signal.aborted) return;
    waiting = true;
    void clock.sleep(problem === null ? FLUSH_MS : RETRY_MS, closing.signal).then(() => {
      waiting = false;
      return closing.signal.aborted ? undefined : flush();
    });
  };

  /** Stores what waits, unless that takes too long: then it goes on beside the answer. */
  const flushInTime = async (): Promise<void> => {
    const patience = new AbortController();
    const late = clock.sleep(PATIENCE_MS, patience.signal).then(() => true);
    const isLate = await Promise.race([flush().then(() => false), late]);
    patience.abort();
    if (isLate && writing > 0) silent = true;
  };

  const launch = async (call: Call, intent: IntentRequest, request: (intent: IntentRequest) => Promise<Intent>): Promise<Intent> => {
    // What is on its way is stored before, or comes back and goes with the intent.
    await flushing;
    const batch = buffer.take();
    try {
      const answer = await request({ ...intent, calls: await eventOf([...batch.calls(), call]) });
      if (answer.outcome === 'stored') stored();
      else buffer.giveBack(batch);
      return answer;
    } catch (error) {
      buffer.giveBack(batch);
      throw error;
    }
  }; // prettier-ignore

  const callOf = ({ origin, caller }: Begun, { outcome, code, run_id }: Omit<CallEnd, 'reads'>): Call => ({
    ...{ ...origin, outcome, code: code ?? null, duration_ms: Math.max(0, clock.now() - origin.at) },
    ...{ run_id: run_id ?? null, principal: caller.principal, client: caller.client },
  });
  const launched = (begun: Begun, { lease, burn, event }: IntentRequest): Call => {
    const outcome = lease.executor === 'approval' ? 'asked' : burn ? 'approved' : 'launched';
    return callOf(begun, { outcome, run_id: event.run_id });
  };

  return {
    begin({ tool, given, caller }) {
      const origin = { at: clock.now(), id: ports.ids.next(), sent: sentText(given), tool };
      const begun = { origin, caller };
      let recorded = false;
      return {
        origin,
        recorded: () => void (recorded = true),
        async launch(intent, request) {
          const answer = await launch(launched(begun, intent), intent, request);
          recorded = answer.outcome === 'stored';
          return answer;
        },
        async end({ reads, ...how }) {
          if (recorded) return;
          recorded = true;
          buffer.add(callOf(begun, how));
          // While the ledger is known to be in trouble nobody waits for it once more.
          if (problem !== null || how.code === 'ledger_unavailable') plan();
          else if (!reads) await flush();
          else if (!fresh() && !silent) await flushInTime();
          else if (buffer.full()) void flush();
          else plan();
        },
      };
    },
    launching: async (origin, caller, intent) =>
      origin && (await eventOf([launched({ origin, caller }, intent)])),
    flush,
    standing: () => ({
      recording: true,
      problem: problem ?? (silent ? 'it does not answer' : null),
      waiting: writing + buffer.count(),
    }),
    async close() {
      closing.abort();
      await flush();
      const lost = buffer.count();
      if (lost > 0) log('error', 'calls could not be recorded', { lost, reason: problem });
    },
  };
}

/** What the caller sent, as text that no later change reaches. */
function sentText(given: unknown): string {
  try {
    return canonicalJson(given ?? {});
  } catch (error) {
    // Nested deeper than the stack: the call is refused, and recorded without them.
    if (error instanceof RangeError) return '{"…":"nested too deeply"}';
    throw error;
  }
}

/** The sentence for an answer whose call is not recorded; null: there is nothing to say. */
export function warningOf({ problem, waiting }: TrailStanding): string | null {
  if (problem === null) return null;
  const calls = waiting > 1 ? `this call and ${waiting - 1} more are` : 'this call is';
  return `${calls} not recorded yet, because the ledger cannot store calls; nothing launches until it can: ${problem}`;
}
