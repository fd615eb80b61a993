import { DateTime } from 'luxon';
import { AppError } from '../shared/errors.ts';
import type { TimeGroup, TimeSlice } from './summary.ts';

/** A year of hours, twenty-seven of days: more than anybody reads. */
const MOST_SLICES = 10_000;

const LABELS: Record<TimeGroup, string> = {
  hour: "yyyy-MM-dd'T'HH:mmZZ",
  day: 'yyyy-MM-dd',
  week: "kkkk-'W'WW",
  month: 'yyyy-MM',
};

/**
 * The hours, days, weeks or months of a span as the clocks of a zone show them. A day on which they change has 23 or
 * 25 hours; an hour that the clock shows twice is two, told apart by their offset. The first and the last are cut by the span.
 */
export function timeSlices(
  { since, until }: { since: number; until: number },
  { unit, zone }: { unit: TimeGroup; zone: string },
): TimeSlice[] {
  const slices: TimeSlice[] = [];
  let from: DateTime = DateTime.fromMillis(since, { zone }).startOf(unit);
  while (from.toMillis() < until) {
    if (slices.length >= MOST_SLICES) throw tooMany(unit);
    const to = following(from, unit);
    slices.push({
      since: Math.max(since, from.toMillis()),
      until: Math.min(until, to.toMillis()),
      label: from.toFormat(LABELS[unit]),
    });
    from = to;
  }
  return slices;
} // prettier-ignore

function following(from: DateTime, unit: TimeGroup): DateTime {
  if (unit !== 'hour') return from.plus({ [unit]: 1 }).startOf(unit);
  const next = from.plus({ hours: 1 });
  // Where a zone moves by half an hour, so that hours begin on the hour again.
  const whole = next.minus({ minutes: next.minute });
  return whole > from ? whole : next;
}

function tooMany(unit: TimeGroup): AppError {
  return new AppError('invalid_argument', `the interval has more than ${MOST_SLICES} groups by ${unit}`, {
    valid: ['a shorter interval', 'group_by a longer unit: hour, day, week, month'],
    next: 'repeat the call with one of these',
  });
}
