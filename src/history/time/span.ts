import { DateTime } from 'luxon';
import { AppError } from '../../shared/errors.ts';

/** Half-open. `note`: what a reader of the answer should know about how it was read. */
export interface Span {
  since: DateTime;
  until: DateTime;
  note?: string;
}

/** What a text means: a stretch of time, or one instant. */
export type Reading = { span: Span } | { instant: DateTime };

export type CalendarUnit = 'day' | 'week' | 'month' | 'quarter' | 'year';

/** The calendar unit that holds this time; weeks begin on Monday. */
export function unitAround(time: DateTime, unit: CalendarUnit): Span {
  const since = firstOf(time.startOf(unit));
  return { since, until: firstOf(time.plus({ [unit]: 1 }).startOf(unit)) };
}

/** Where the clock is put back at midnight, the first of the two begins the day. */
function firstOf(time: DateTime): DateTime {
  const [first = time, ...others] = time.getPossibleOffsets();
  return others.reduce((earliest, other) => (other < earliest ? other : earliest), first);
}

export interface LocalTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

/** The instant at which clocks of the zone show this. What they show twice, or never, is refused and not guessed. */
export function instantOf(local: LocalTime, zone: DateTime['zone'], text: string): DateTime {
  const time = DateTime.fromObject(local, { zone });
  if (!time.isValid) throw unreadable(`"${text}" is no date and time that exists`);
  if (time.hour !== local.hour || time.minute !== local.minute) {
    throw unreadable(`"${text}" does not exist in ${zone.name}: the clock jumped over it`);
  }
  const candidates = time.getPossibleOffsets();
  if (candidates.length > 1) {
    throw ambiguous(
      `"${text}" exists twice in ${zone.name}`,
      candidates.map((candidate) => candidate.toISO() ?? '').sort().reverse(),
    ); // prettier-ignore
  }
  return time;
}

export function ambiguous(message: string, valid: readonly string[]): AppError {
  return new AppError('invalid_argument', message, { valid, next: 'repeat the call with one of these' });
}

const VALID = [
  'ISO 8601 with offset: 2026-10-25T02:30:00+02:00',
  'ISO 8601 in the zone: 2026-10-25T02:30',
  'a duration back from now: 24h, 7d, 90m',
  'a day, month or year: 2026-10-25, 2026-10, 2026',
  'words: friday evening, last month, yesterday 21:17, between 9 and 10 on tuesday, since monday',
] as const;

export function unreadable(message: string): AppError {
  return new AppError('invalid_argument', message, {
    valid: VALID,
    next: 'repeat the call with one of these shapes',
  });
}
