import { messageOf } from '../shared/errors.ts';
import { canonicalJson } from '../shared/json.ts';
import type { Clock, Ids, Log } from '../shared/ports.ts';
import type { Intent, IntentRequest } from './run-ledger.ts';
import { createCallBuffer, type Batch } from './trail-buffer.ts';
import { callsEvent, type Call, type CallOutcome, type CallsEvent } from './trail-event.ts';
import type { Caller } from './start.ts';

/** Calls that only read are stored this much later, many at once. */
const FLUSH_MS = 1_000;
/** After a failure, so that a ledger in trouble is not asked all the time. */
const RETRY_MS = 5_000;

export interface TrailPorts {
  append(event: CallsEvent): Promise<void>;
  key(): Promise<Uint8Array>;
  /** Arguments without the secrets that this server knows. */
  redact(text: string): string;
  ids: Ids;
  clock: Clock;
  log: Log;
}

/** Records every call. A call that only reads waits for nothing; all others are durable before they are answered. */
export interface CallRecorder {
  begin(call: { tool: string; given: unknown; caller: Caller }): CallEntry;
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
}

export interface CallEnd {
  outcome: CallOutcome;
  code?: string;
  run_id?: string | null;
  /** It only read, and found nothing to object to. */
  reads: boolean;
}

/** One call from its arrival on. */
export interface CallEntry {
  /** Stores the intent with this call and all that wait in one transaction. */
  launch(intent: IntentRequest, request: (intent: IntentRequest) => Promise<Intent>): Promise<Intent>;
  /** Tells how it ended; has no effect after a launch, which was recorded as such. Never rejects. */
  end(how: CallEnd): Promise<void>;
}

/** For an operator who wants no trail. */
export const NO_TRAIL: CallRecorder = {
  begin: () => ({ launch: (intent, request) => request(intent), end: async () => undefined }),
  flush: async () => undefined,
  standing: () => ({ recording: false, problem: null }),
  close: async () => undefined,
};

export function createCallRecorder(ports: TrailPorts): CallRecorder {
  const { clock, log } = ports;
  const buffer = createCallBuffer(ports.ids);
  const closing = new AbortController();
  let problem: string | null = null;
  let flushing = Promise.resolve();
  let waiting = false;

  const eventOf = async (batch: Batch, last: Call[] = []): Promise<CallsEvent> =>
    callsEvent([...batch.calls(), ...last], {
      at: clock.now(),
      key: await ports.key(),
      redact: ports.redact,
    });
  const stored = (): void => {
    if (problem !== null) log('info', 'calls are recorded again');
    problem = null;
  };
  const write = async (): Promise<void> => {
    while (!buffer.empty()) {
      const batch = buffer.take();
      try {
        await ports.append(await eventOf(batch));
        stored();
      } catch (error) {
        buffer.giveBack(batch);
        if (problem === null) log('warn', 'calls cannot be recorded', { error: messageOf(error) });
        problem = messageOf(error);
        return plan();
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

  const launch = async (call: Call, intent: IntentRequest, request: (intent: IntentRequest) => Promise<Intent>): Promise<Intent> => {
    // What is on its way is stored before, or comes back and goes with the intent.
    await flushing;
    const batch = buffer.take();
    try {
      const answer = await request({ ...intent, calls: await eventOf(batch, [call]) });
      if (answer.outcome === 'stored') stored();
      else buffer.giveBack(batch);
      return answer;
    } catch (error) {
      buffer.giveBack(batch);
      throw error;
    }
  }; // prettier-ignore

  return {
    begin({ tool, given, caller }) {
      const [at, id, sent] = [clock.now(), ports.ids.next(), sentText(given)];
      let recorded = false;
      const entry = ({ outcome, code, run_id }: Omit<CallEnd, 'reads'>): Call => ({
        ...{ id, at, tool, outcome, code: code ?? null, duration_ms: Math.max(0, clock.now() - at) },
        ...{ run_id: run_id ?? null, principal: caller.principal, client: caller.client, sent },
      });
      return {
        async launch(intent, request) {
          const outcome = intent.burn ? 'approved' : 'launched';
          const call = entry({ outcome, run_id: intent.event.run_id });
          const answer = await launch(call, intent, request);
          recorded = answer.outcome === 'stored';
          return answer;
        },
        async end({ reads, ...how }) {
          if (recorded) return;
          recorded = true;
          buffer.add(entry(how));
          // While the ledger is known to be in trouble nobody waits for it once more.
          if (problem !== null || how.code === 'ledger_unavailable') plan();
          else if (!reads) await flush();
          else if (buffer.full()) void flush();
          else plan();
        },
      };
    },
    flush,
    standing: () => ({ recording: true, problem }),
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
export function warningOf({ problem }: TrailStanding): string | null {
  if (problem === null) return null;
  return `this call is not recorded yet, because the ledger cannot store it; nothing launches until it can: ${problem}`;
}
