import type { TimeSpan } from './search.ts';

export interface IntervalRequest {
  during?: string | undefined;
  since?: string | undefined;
  until?: string | undefined;
  timezone?: string | undefined;
}

/** The interval as it was understood, in UTC and in the zone with weekdays; half-open. */
export interface Interval {
  since: string | null;
  until: string | null;
  local: string;
  timezone: string;
  note: string | null;
}

/** What words are relative to: epoch milliseconds, and the zone for times that name none. */
export interface Now {
  now: number;
  zone: string;
}

export interface Resolved {
  span: TimeSpan;
  interval: Interval;
}

/**
 * Resolves the time arguments of a question. Throws `invalid_argument` with what would be understood. The libraries
 * are loaded when first needed, because a start must not wait for them.
 */
export async function resolveInterval(request: IntervalRequest, reference: Now): Promise<Resolved> {
  const { resolve } = await import('./time/resolve.ts');
  return resolve(request, reference);
}

/** Resolves an argument that names one instant, such as `at`. */
export async function resolveInstant(
  name: string,
  text: string,
  reference: Now & { timezone: string | undefined },
): Promise<{ at: number; utc: string; local: string; timezone: string; note: string | null }> {
  const { resolveMoment } = await import('./time/resolve.ts');
  return resolveMoment(name, text, reference);
}
