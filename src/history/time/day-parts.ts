import type { DateTime } from 'luxon';
import { unitAround, type Span } from './span.ts';

/**
 * What the parts of a day mean here, by the clock of the zone. The night belongs to the day on which it begins,
 * and ends on the next one; "night to saturday" is the night of Friday.
 */
export const DAY_PARTS = {
  morning: { from: 6, to: 12 },
  afternoon: { from: 12, to: 18 },
  evening: { from: 18, to: 24 },
  night: { from: 22, to: 30 },
} as const;

export type DayPart = keyof typeof DAY_PARTS;

export function isDayPart(word: string): word is DayPart {
  return Object.hasOwn(DAY_PARTS, word);
}

export function partOf(day: DateTime, part: DayPart): Span {
  const { from, to } = DAY_PARTS[part];
  const hours = `${clock(from)} to ${clock(to % 24)}`;
  return { since: hourOf(day, from), until: hourOf(day, to), note: `${part} means ${hours}` };
}

function hourOf(day: DateTime, hour: number): DateTime {
  const date = day.plus({ days: Math.floor(hour / 24) });
  const start = unitAround(date, 'day').since;
  return hour % 24 === 0 ? start : start.set({ hour: hour % 24 });
}

function clock(hour: number): string {
  return `${String(hour).padStart(2, '0')}:00`;
}
