import { type DateTime, Duration } from 'luxon';
import { partOf } from './day-parts.ts';
import { beginOf, dateOf, partOfDay } from './library.ts';
import { rangeOf } from './ranges.ts';
import { ambiguous, unitAround, unreadable, type CalendarUnit, type Reading, type Span } from './span.ts';
import { normalized, WEEKDAYS } from './vocabulary.ts';

/** Words for a stretch of time or an instant, in English or German; null: not understood at all. */
export async function wordsOf(text: string, now: DateTime): Promise<Reading | null> {
  const words = datesOf(normalized(text), now);
  if (words === '' || /^in (?:\d{1,3} |an? )/.test(words)) return null;
  const reading = (await rangeOf(words, { now, pointOf })) ?? (await pointOf(words, now));
  if (reading && beginOf(reading) > now) throw unreadable(`"${text}" lies in the future: history has only what was`);
  return reading;
} // prettier-ignore

/** Days that are told from today become dates, so that they go with times and parts of the day as any date does. */
function datesOf(words: string, now: DateTime): string {
  const date = (day: DateTime): string => day.toFormat('yyyy-MM-dd');
  const inWeek = (day: string, week: string): string => {
    const monday = now.startOf('week').minus({ weeks: week === 'last' ? 1 : 0 });
    return date(monday.plus({ days: WEEKDAYS.findIndex((name) => name === day) }));
  };
  return words
    .replace(IN_WEEK, (_, day: string, week: string) => inWeek(day, week))
    .replace(WEEK_AND, (_, week: string, day: string) => inWeek(day, week))
    .replace(/\bereyesterday\b/, date(now.minus({ days: 2 })))
    .replace(/\byesterday\b/, date(now.minus({ days: 1 })))
    .replace(/\btoday\b/, date(now))
    .replace(/\btomorrow\b/, date(now.plus({ days: 1 })));
}

const IN_WEEK = new RegExp(`\\b(${WEEKDAYS.join('|')}) (last|this) week\\b`);
const WEEK_AND = new RegExp(`\\b(last|this) week (${WEEKDAYS.join('|')})\\b`);

/** Everything that has no second end. */
async function pointOf(words: string, now: DateTime): Promise<Reading | null> {
  const bare = words.replace(/^(?:in|on) /, '');
  return (
    simple(bare, now) ??
    rolling(bare, now) ??
    calendar(bare, now) ??
    numbered(bare, now) ??
    (await nightTo(bare, now)) ??
    (await partOfDay(bare, now)) ??
    (await dateOf(bare, now))
  );
}

function simple(words: string, now: DateTime): Reading | null {
  if (words === 'now') return { instant: now };
  const year = /^(?:year )?(\d{4})$/.exec(words)?.[1];
  if (year !== undefined) return { span: unitAround(now.startOf('year').set({ year: Number(year) }), 'year') };
  if (words === 'tonight') return { span: partOf(now, 'evening') };
  if (words === 'midnight') return { instant: unitAround(now, 'day').since };
  if (/\bmidnight\b/.test(words)) throw unreadable(`"${words}": a day has a midnight at both ends; give its date and 00:00`);
  return null;
} // prettier-ignore

const UNIT = '(second|minute|hour|day|week|month|quarter|year)s?';

/** "last 24 hours" ends now; "3 days ago" is an instant. */
function rolling(words: string, now: DateTime): Reading | null {
  const [, count, unit] = new RegExp(`^(?:last|past|previous) (\\d+|hour$|minute$) ?(?:${UNIT})?$`).exec(words) ?? [];
  if (count !== undefined) {
    const single = /^\d/.test(count) ? null : count;
    if (single === null && unit === undefined) return null;
    return { span: { since: now.minus(amount(single ? 1 : Number(count), single ?? unit!)), until: now } };
  }
  const recent = /^past (day|week|month|year)$/.exec(words)?.[1];
  if (recent !== undefined) return { span: { since: now.minus(amount(1, recent)), until: now } };
  const [, number, one] = new RegExp(`^(\\d+|an?) ${UNIT} ago$`).exec(words) ?? [];
  if (number === undefined) return null;
  return { instant: now.minus(amount(/^a/.test(number) ? 1 : Number(number), one!)) };
} // prettier-ignore

function amount(count: number, unit: string): Duration {
  return Duration.fromObject({ [unit]: count });
}

/** "last month", "this week", "week before last", "weekend". */
function calendar(words: string, now: DateTime): Reading | null {
  const [, which, named] = /^(?:(this|current|last|previous) )?(day|week|month|quarter|year|weekend)$/.exec(words) ?? [];
  const earlier = /^(week|month|quarter|year|weekend) before last$/.exec(words)?.[1];
  const unit = named ?? earlier;
  if (unit === undefined || unit === 'day') return null;
  if (unit === 'weekend') return { span: weekend(now, earlier ? 'before last' : which) };
  if (named !== undefined && which === undefined) throw ambiguous(`"${words}" may mean two`, [`this ${unit}`, `last ${unit}`]);
  const back = earlier ? 2 : which === 'this' || which === 'current' ? 0 : 1;
  return { span: unitAround(now.minus({ [unit]: back }), unit as CalendarUnit) };
} // prettier-ignore

/** Saturday and Sunday. Alone: the latest that has begun; "last": the latest that is over. */
function weekend(now: DateTime, which: string | undefined): Span {
  const of = (weeks: number): Span => {
    const { since, until } = unitAround(now.minus({ weeks }), 'week');
    return { since: unitAround(since.plus({ days: 5 }), 'day').since, until };
  };
  const running = now >= of(0).since;
  if (which === undefined) return of(running ? 0 : 1);
  if (which === 'before last') return of(2);
  return of(which === 'this' || which === 'current' ? 0 : 1);
}

/** "Q3", "3rd quarter 2026", "week 45". */
function numbered(words: string, now: DateTime): Reading | null {
  const [, quarter] = /^(?:q|quarter )([1-4])\b/.exec(words) ?? /^([1-4])(?:st|nd|rd|th|\.)? quarter\b/.exec(words) ?? [];
  const week = /^(?:calendar )?week (\d{1,2})\b/.exec(words)?.[1];
  const year = /(?: |\/)(\d{4})$/.exec(words)?.[1];
  const rest = words.replace(/^(?:q[1-4]|quarter [1-4]|[1-4](?:st|nd|rd|th|\.)? quarter|(?:calendar )?week \d{1,2})/, '');
  if ((quarter ?? week) === undefined || !/^(?:(?: |\/)\d{4})?$/.test(rest)) return null;
  const of = (inYear: number): Span => quarter ? quarterOf(now, inYear, Number(quarter)) : weekOf(now, inYear, Number(week));
  if (year !== undefined) return { span: of(Number(year)) };
  const current = of(quarter ? now.year : now.weekYear);
  return { span: current.since <= now ? current : of((quarter ? now.year : now.weekYear) - 1) };
} // prettier-ignore

function quarterOf(now: DateTime, year: number, quarter: number): Span {
  return unitAround(now.startOf('year').set({ year, month: quarter * 3 }), 'quarter');
}

/** Weeks as ISO 8601 counts them. */
export function weekOf(now: DateTime, year: number, week: number): Span {
  const january = now.startOf('year').set({ year, day: 4 });
  const monday = january.startOf('week').plus({ weeks: week - 1 });
  if (week < 1 || monday.weekYear !== year) throw unreadable(`the year ${year} has no week ${week}`);
  return unitAround(monday, 'week');
}

/** "night to saturday" begins on Friday. */
async function nightTo(words: string, now: DateTime): Promise<Reading | null> {
  const morrow = /^(?:in )?night to (.+)$/.exec(words)?.[1];
  if (morrow === undefined) return null;
  const day = await dateOf(morrow, now);
  if (!day || !('span' in day)) return null;
  const eve = partOf(day.span.since.minus({ hours: 12 }), 'night');
  return { span: eve.since > now ? partOf(eve.since.minus({ days: 7 }), 'night') : eve };
} // prettier-ignore
