import { DateTime, Duration, IANAZone } from 'luxon';
import { AppError } from '../../shared/errors.ts';
import type { Interval, IntervalRequest, Now, Resolved } from '../interval.ts';
import { wordsOf, weekOf } from './phrases.ts';
import { instantOf, unitAround, unreadable, type CalendarUnit, type Reading, type Span } from './span.ts';

const DURATION = /^-?(\d{1,6}(?:\.\d{1,3})?)\s*(s|m|min|h|d|w)$/;
const UNITS = { s: 'seconds', m: 'minutes', min: 'minutes', h: 'hours', d: 'days', w: 'weeks' } as const;
const CLOCK =
  /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?(z|[+-]\d{2}(?::?\d{2})?)?$/i;

/** Whole calendar units that stand for an interval of their own. */
const CALENDAR: { shape: RegExp; format: string; unit: CalendarUnit }[] = [
  { shape: /^\d{4}-\d{2}-\d{2}$/, format: 'yyyy-MM-dd', unit: 'day' },
  { shape: /^\d{4}-\d{2}$/, format: 'yyyy-MM', unit: 'month' },
  { shape: /^\d{4}$/, format: 'yyyy', unit: 'year' },
];

/** Computers counted no earlier, and a later year is a typing error. */
const YEARS = { first: 1970, last: 2199 };

export async function resolve(request: IntervalRequest, { now, zone }: Now): Promise<Resolved> {
  const at = DateTime.fromMillis(now, { zone: zoneOf(request.timezone ?? zone) });
  if (request.during !== undefined && (request.since !== undefined || request.until !== undefined)) {
    throw unreadable('during excludes since and until: it names the whole interval');
  }
  const { since, until, note } = await bounds(request, at);
  if (since && until && since >= until) {
    throw unreadable(`since (${since.toISO()}) is not before until (${until.toISO()})`);
  }
  return {
    span: { since: since?.toMillis() ?? null, until: until?.toMillis() ?? null },
    interval: echoOf({ since, until, note }, at),
  };
}

/** One instant in the words of a caller; an interval means its beginning, and the note says so. */
export async function resolveMoment(
  name: string,
  text: string,
  { timezone, now, zone }: Now & { timezone: string | undefined },
): Promise<{ at: number; utc: string; local: string; timezone: string; note: string | null }> {
  const reference = DateTime.fromMillis(now, { zone: zoneOf(timezone ?? zone) });
  const { instant, note } = await momentOf(name, text, reference);
  const utc = instant.toUTC().toISO() ?? '';
  return { at: instant.toMillis(), utc, local: local(instant), timezone: String(reference.zoneName), note };
}

interface Bounds {
  since: DateTime | null;
  until: DateTime | null;
  note: string | null;
}

async function bounds({ during, since, until }: IntervalRequest, at: DateTime): Promise<Bounds> {
  if (during !== undefined) {
    const { since, until, note } = await spanOf(during, at);
    return { since, until, note: note ?? null };
  }
  const start = since === undefined ? null : await readingOf('since', since, at);
  if (start && 'span' in start && until === undefined) {
    const { span } = start;
    const set = `since "${since}" names an interval, so until was set to its end`;
    return { since: span.since, until: span.until, note: [span.note, set].filter(Boolean).join('; ') };
  }
  const end = until === undefined ? null : await momentOf('until', until, at);
  return { since: start && beginning(start), until: end && end.instant, note: end?.note ?? null };
}

async function spanOf(text: string, at: DateTime): Promise<Span> {
  const duration = durationOf(text);
  if (duration) {
    inReach({ instant: at.minus(duration) });
    return { since: at.minus(duration), until: at };
  }
  const reading = await readingOf('during', text, at);
  if ('span' in reading) return reading.span;
  const day = reading.instant.toFormat('yyyy-MM-dd');
  throw unreadable(
    `during "${text}" is one instant, ${local(reading.instant)}: use since and until, the day ${day}, or "between … and …"`,
  );
}

async function momentOf(name: string, text: string, at: DateTime): Promise<{ instant: DateTime; note: string | null }> {
  const reading = await readingOf(name, text, at);
  if ('instant' in reading) return { instant: reading.instant, note: null };
  return { instant: reading.span.since, note: `${name} "${text}" means its beginning` };
} // prettier-ignore

function beginning(reading: Reading): DateTime {
  return 'span' in reading ? reading.span.since : reading.instant;
}

async function readingOf(name: string, text: string, at: DateTime): Promise<Reading> {
  try {
    const duration = durationOf(text);
    if (duration) return inReach({ instant: at.minus(duration) });
    const reading = isoOf(text.trim(), at) ?? (await wordsOf(text, at));
    if (reading) return inReach(reading);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { valid, next } = error;
    throw new AppError(error.code, `${name}: ${error.message}`, { ...(valid && { valid }), ...(next && { next }) });
  }
  throw unreadable(`${name} "${text}" was not understood`);
} // prettier-ignore

function inReach(reading: Reading): Reading {
  const { year } = beginning(reading);
  if (year >= YEARS.first && year <= YEARS.last) return reading;
  throw unreadable(`the year ${year} is out of reach: years go from ${YEARS.first} to ${YEARS.last}`);
}

function isoOf(text: string, at: DateTime): Reading | null {
  const [, weekYear, week] = /^(\d{4})-w(\d{2})$/i.exec(text) ?? [];
  if (weekYear !== undefined) return { span: weekOf(at, Number(weekYear), Number(week)) };
  for (const { shape, format, unit } of CALENDAR) {
    if (!shape.test(text)) continue;
    const since = DateTime.fromFormat(text, format, { zone: at.zone });
    if (!since.isValid) throw unreadable(`"${text}" is no ${unit} that exists`);
    return { span: unitAround(since, unit) };
  }
  const [, year, month, day, hour, minute, second = '0', offset] = CLOCK.exec(text) ?? [];
  if (year === undefined) return null;
  if (offset !== undefined) {
    const exact = DateTime.fromISO(text.toUpperCase().replace(' ', 'T').replace(',', '.'), { zone: at.zone });
    if (!exact.isValid) throw unreadable(`"${text}" is no date and time that exists`);
    return { instant: exact };
  }
  const fraction = /[.,](\d{1,3})/.exec(text)?.[1] ?? '0';
  const numbers = { year: Number(year), month: Number(month), day: Number(day), hour: Number(hour), minute: Number(minute), second: Number(second) };
  return { instant: instantOf(numbers, at.zone, text).plus({ milliseconds: Number(fraction.padEnd(3, '0')) }) };
} // prettier-ignore

function durationOf(text: string): Duration | null {
  const match = DURATION.exec(text.trim());
  if (!match) return null;
  return Duration.fromObject({ [UNITS[match[2] as keyof typeof UNITS]]: Number(match[1]) });
}

function zoneOf(name: string): string {
  // Remembered by the library, unlike isValidZone's answer, which takes as long as the rest of a search.
  if (IANAZone.create(name).isValid) return name;
  throw new AppError('invalid_argument', `timezone "${name}" is not an IANA zone`, {
    valid: ['Europe/Berlin', 'UTC'],
    next: 'repeat the call with a zone of the IANA database, or without timezone',
  });
}

function echoOf({ since, until, note }: Bounds, at: DateTime): Interval {
  const future = since && since > at ? 'this interval lies in the future' : null;
  return {
    since: since?.toUTC().toISO() ?? null,
    until: until?.toUTC().toISO() ?? null,
    local: `${since ? local(since.setZone(at.zone)) : 'the beginning'} to ${until ? local(until.setZone(at.zone)) : 'now'}`,
    timezone: String(at.zoneName),
    note: [note, future].filter(Boolean).join('; ') || null,
  };
}

function local(time: DateTime): string {
  return time.toFormat('ccc yyyy-MM-dd HH:mm:ss ZZ', { locale: 'en' });
}
