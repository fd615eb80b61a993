import { AppError, type ErrorCode } from '../shared/errors.ts';
import type { CallEnd, CallEntry, CallRecorder } from '../runs/trail.ts';

/** What became of a call that was not refused, and how its record ends. */
export interface Done<T> extends CallEnd {
  value: T;
}

/** The one place where calls are recorded: around tools and resources alike. */
export async function recordCall<T>(
  recorder: CallRecorder,
  call: Parameters<CallRecorder['begin']>[0],
  work: (entry: CallEntry) => Promise<Done<T>>,
): Promise<T> {
  const entry = recorder.begin(call);
  let done: Done<T>;
  try {
    done = await work(entry);
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'internal';
    await entry.end({ outcome: outcomeOf(code), code, reads: false });
    throw error;
  }
  const { value, ...how } = done;
  await entry.end(how);
  return value;
}

const FAILURES: readonly ErrorCode[] = [
  'engine_unavailable', 'launch_failed', 'ledger_unavailable', 'lease_lost', 'internal',
]; // prettier-ignore

function outcomeOf(code: ErrorCode): CallEnd['outcome'] {
  if (code === 'approval_declined') return 'declined';
  return FAILURES.includes(code) ? 'failed' : 'refused';
}
