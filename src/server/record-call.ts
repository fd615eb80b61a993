import { AppError, type ErrorCode } from '../shared/errors.ts';
import type { CallEnd, CallEntry, CallRecorder } from '../runs/trail.ts';

/** What became of a call that was not refused, and how its record ends. */
export interface Done<T> extends CallEnd {
  value: T;
}

/** Told of every call, besides the trail; knows nothing of what it was about. */
export type Observe = (call: { tool: string; outcome: CallEnd['outcome']; duration_ms: number }) => void;

export interface Recording {
  recorder: CallRecorder;
  observe?: Observe | undefined;
}

/** The one place where calls are recorded: around tools and resources alike. */
export async function recordCall<T>(
  { recorder, observe }: Recording,
  call: Parameters<CallRecorder['begin']>[0],
  work: (entry: CallEntry) => Promise<Done<T>>,
): Promise<T> {
  const entry = recorder.begin(call);
  const began = performance.now();
  const told = (outcome: CallEnd['outcome']): void =>
    observe?.({ tool: call.tool, outcome, duration_ms: performance.now() - began });
  let done: Done<T>;
  try {
    done = await work(entry);
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'internal';
    const outcome = outcomeOf(code);
    await entry.end({ outcome, code, reads: false });
    told(outcome);
    throw error;
  }
  const { value, ...how } = done;
  await entry.end(how);
  told(how.outcome);
  return value;
}

const FAILURES: readonly ErrorCode[] = [
  'engine_unavailable', 'launch_failed', 'ledger_unavailable', 'lease_lost', 'internal',
]; // prettier-ignore

function outcomeOf(code: ErrorCode): CallEnd['outcome'] {
  if (code === 'approval_declined') return 'declined';
  return FAILURES.includes(code) ? 'failed' : 'refused';
}
