/**
 * Aborts with a `TimeoutError` after so many milliseconds, or when one of the others does. It does not keep a process
 * alive. An `AbortSignal.timeout` that only `AbortSignal.any` looks at is collected as garbage, and never aborts.
 */
export function timeLimit(ms: number, ...others: readonly AbortSignal[]): AbortSignal {
  const limit = new AbortController();
  const end = (): void => limit.abort(new DOMException(`not done within ${ms} ms`, 'TimeoutError'));
  setTimeout(end, ms).unref();
  return others.length === 0 ? limit.signal : AbortSignal.any([limit.signal, ...others]);
}
