import { DateTime, Duration, IANAZone } from 'luxon';
import { AppError } from '../shared/errors.ts';
import type { TimeSpan } from './search.ts';

const DURATION = /^-?(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)$/;
const UNITS = { s: 'seconds', m: 'minutes', min: 'minutes', h: 'hours', d: 'days', w: 'weeks' } as const;

/** Whole calendar units that stand for an interval of their own. */
const CALENDAR: { shape: RegExp; format: string; unit: 'day' | 'month' | 'year' }[] = [
  { shape: /^\d{4}-\d{2}-\d{2}$/, format: 'yyyy-MM-dd', unit: 'day' },
  { shape: /^\d{4}-\d{2}$/, format: 'yyyy-MM', unit: 'month' },
  { shape: /^\d{4}$/, format: 'yyyy', unit: 'year' },
];

const VALID = [
  'ISO 8601 with offset: 2026-10-25T02:30:00+02:00',
  'ISO 8601 in the zone: 2026-10-25T02:30',
  'a duration back from now: 24h, 7d, 90m',
  'a day, month or year: 2026-10-25, 2026-10, 2026',
] as const;

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

interface Span {
  since: DateTime;
  until: DateTime;
}

/** Resolves the time arguments of a question. Throws `invalid_argument` with what would be understood. */
export function resolveInterval(
  request: IntervalRequest,
  { now, zone: defaultZone }: { now: number; zone: string },
): { span: TimeSpan; interval: Interval } {
  const zone = zoneOf(request.timezone ?? defaultZone);
  const at = DateTime.fromMillis(now, { zone });
  if (request.during !== undefined && (request.since !== undefined || request.until !== undefined)) {
    throw invalid('during', 'during excludes since and until: it names the whole interval');
  }
  const { since, until, note } = bounds(request, at);
  if (since && until && since >= until) {
    throw invalid('since', `since (${since.toISO()}) is not before until (${until.toISO()})`);
  }
  return {
    span: { since: since?.toMillis() ?? null, until: until?.toMillis() ?? null },
    interval: {
      since: since?.toUTC().toISO() ?? null,
      until: until?.toUTC().toISO() ?? null,
      local: `${since ? local(since) : 'the beginning'} to ${until ? local(until) : 'now'}`,
      timezone: zone,
      note,
    },
  };
}

interface Bounds {
  since: DateTime | null;
  until: DateTime | null;
  note: string | null;
}

function bounds({ during, since, until }: IntervalRequest, at: DateTime): Bounds {
  if (during !== undefined) {
    const span = calendar(during, at) ?? back('during', during, at);
    return { since: span.since, until: span.until, note: null };
  }
  const whole = since === undefined ? null : calendar(since, at);
  if (whole && until === undefined) {
    return { ...whole, note: `since "${since}" names an interval, so until was set to its end` };
  }
  return {
    since: since === undefined ? null : instant('since', since, at),
    until: until === undefined ? null : instant('until', until, at),
    note: null,
  };
}

function back(name: string, text: string, at: DateTime): Span {
  const duration = durationOf(text);
  if (duration) return { since: at.minus(duration), until: at };
  throw invalid(name, `${name} "${text}" was not understood as an interval`);
}

/** One instant; a whole day, month or year means its beginning. */
export function instant(name: string, text: string, at: DateTime): DateTime {
  const duration = durationOf(text);
  if (duration) return at.minus(duration);
  const whole = calendar(text, at);
  if (whole) return whole.since;
  const exact = DateTime.fromISO(text.trim().replace(' ', 'T'), { zone: at.zone });
  if (exact.isValid && /^\d{4}-\d{2}-\d{2}[T ]/.test(text.trim())) return unambiguous(name, text, exact);
  throw invalid(name, `${name} "${text}" was not understood`);
}

/** A local time that the clock shows twice, or never, is refused instead of guessed. */
function unambiguous(name: string, text: string, time: DateTime): DateTime {
  if (/(?:z|[+-]\d{2}:?\d{2})$/i.test(text.trim())) return time;
  const candidates = time.getPossibleOffsets();
  if (candidates.length > 1) {
    throw new AppError('invalid_argument', `${name} "${text}" exists twice in ${time.zoneName}`, {
      valid: candidates.map((candidate) => candidate.toISO() ?? ''),
      next: 'repeat the call with one of these',
    });
  }
  const asked = /[T ](\d{2}:\d{2})/.exec(text.trim())?.[1];
  if (asked !== undefined && time.toFormat('HH:mm') !== asked) {
    throw invalid(name, `${name} "${text}" does not exist in ${time.zoneName}: the clock jumped over it`);
  }
  return time;
}

function durationOf(text: string): Duration | null {
  const match = DURATION.exec(text.trim());
  if (!match) return null;
  return Duration.fromObject({ [UNITS[match[2] as keyof typeof UNITS]]: Number(match[1]) });
}

function calendar(text: string, at: DateTime): Span | null {
  for (const { shape, format, unit } of CALENDAR) {
    if (!shape.test(text.trim())) continue;
    const since = DateTime.fromFormat(text.trim(), format, { zone: at.zone });
    return since.isValid ? { since, until: since.plus({ [unit]: 1 }) } : null;
  }
  return null;
}

function zoneOf(name: string): string {
  // Remembered by the library, unlike isValidZone's answer, which takes as long as the rest of a search.
  if (IANAZone.create(name).isValid) return name;
  throw new AppError('invalid_argument', `timezone "${name}" is not an IANA zone`, {
    valid: ['Europe/Berlin', 'UTC'],
  });
}

function local(time: DateTime): string {
  return time.toFormat('ccc yyyy-MM-dd HH:mm:ss ZZ', { locale: 'en' });
}

function invalid(name: string, message: string): AppError {
  return new AppError('invalid_argument', message, {
    valid: VALID,
    next: `repeat the call with another ${name}`,
  });
}
