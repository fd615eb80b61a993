import { FixedOffsetZone, type DateTime } from 'luxon';
import type { ParsedComponents } from 'chrono-node';
import { DAY_PARTS, isDayPart, partOf } from './day-parts.ts';
import { ambiguous, instantOf, unitAround, unreadable, type Reading } from './span.ts';
import { WEEKDAYS } from './vocabulary.ts';

/** A weekday, a date, a month or a time of the day in plain words, the latest past one; null: none of these. */
export async function dateOf(words: string, now: DateTime): Promise<Reading | null> {
  const direction = /^(last|this) (?=(?:mon|tue|wed|thu|fri|sat|sun))/.exec(words)?.[1] as Direction;
  const bare = direction ? words.slice(direction.length + 1) : words;
  const parts = await componentsOf(bare, now);
  if (!parts) return null;
  const offset = parts.get('timezoneOffset');
  const at = parts.isCertain('timezoneOffset') ? now.setZone(FixedOffsetZone.instance(offset ?? 0)) : now;
  return read({ parts, text: words, now: at, direction });
}

const WEEKDAY = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*$/;

type Direction = 'last' | 'this' | undefined;

interface Question {
  parts: ParsedComponents;
  text: string;
  now: DateTime;
  direction: Direction;
}

/** What the library may see: it reads some other words ("next", "ago", "past") in ways that are not meant here. */
const WORD =
  /^(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?$|^(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*$|^(?:yesterday|today|noon|at|on|[ap]m|o'clock|utc|gmt|z|cet|cest|t|st|nd|rd|th)$/;

/** The library is lenient: what it did not read as a whole was not understood. */
async function componentsOf(words: string, now: DateTime): Promise<ParsedComponents | null> {
  const strange = words.match(/[\p{L}']+/gu)?.filter((word) => !WORD.test(word)) ?? [];
  if (strange.length > 0) throw unreadable(`"${words}" was not understood: "${strange.join('", "')}" is not known here`);
  if (/(?:^|\s)(?:\d{1,2}\/\d{1,2}(?:\/\d{2,4})?|\d{1,2}([.-])\d{1,2}\1\d{1,2})(?:\s|$)/.test(words)) {
    throw unreadable(`"${words}": such a date is read in two ways`);
  }
  const [, day, number] = /^(?:on )?([a-z]+) (\d{1,2})$/.exec(words) ?? [];
  if (day !== undefined && WEEKDAY.test(day)) {
    throw ambiguous(`"${words}" may mean a time or a date`, [`${day} at ${number}:00`, 'the date as YYYY-MM-DD']);
  }
  const { casual } = await import('chrono-node/en');
  const found = casual.parse(words, { instant: now.toJSDate(), timezone: now.offset });
  const [only, ...others] = found;
  if (!only) return null;
  const whole = /^(?:on |in |at )*$/.test(words.slice(0, only.index)) && only.index + only.text.length === words.length;
  if (!whole || others.length > 0 || only.end) {
    throw unreadable(`"${words}" was not understood: only "${found.map(({ text }) => text).join('", "')}" was`);
  }
  return only.start;
} // prettier-ignore

function read(question: Question): Reading | null {
  const { parts } = question;
  const timed = parts.isCertain('hour');
  if (parts.isCertain('day')) return dated(question, timed);
  if (parts.isCertain('weekday')) return onWeekday(question, timed);
  if (parts.isCertain('month') && !timed) return inMonth(question);
  return timed ? timeOfDay(question) : null;
}

function dated({ parts, text, now }: Question, timed: boolean): Reading {
  const [month, day] = [parts.get('month') ?? now.month, parts.get('day') ?? now.day];
  const onDay = (year: number): Reading => {
    const date = now.startOf('year').set({ year });
    const exact = date.set({ month, day });
    if (exact.day !== day || exact.month !== month) throw unreadable(`"${text}" is no date that exists`);
    return timed ? { instant: clockTime(parts, exact, text) } : { span: unitAround(exact, 'day') };
  };
  const year = parts.get('year') ?? now.year;
  const reading = parts.isCertain('year') ? onDay(year) : latest([onDay, now.year], now);
  const weekday = parts.get('weekday');
  const actual = beginOf(reading).weekday % 7;
  if (parts.isCertain('weekday') && weekday !== null && weekday !== undefined && weekday !== actual) {
    const [said, is] = [WEEKDAYS[(weekday + 6) % 7], WEEKDAYS[(actual + 6) % 7]];
    throw unreadable(`"${text}" contradicts itself: that day is a ${is}, not a ${said}`);
  }
  return reading;
}

/** Without a year: this year's, or if that is still to come last year's. */
function latest([onDay, year]: [(year: number) => Reading, number], now: DateTime): Reading {
  const reading = onDay(year);
  return beginOf(reading) <= now ? reading : onDay(year - 1);
}

function onWeekday({ parts, text, now, direction }: Question, timed: boolean): Reading {
  const distance = (now.weekday - ((parts.get('weekday') ?? 0) || 7) + 7) % 7;
  const on = (days: number): Reading => {
    const day = now.startOf('day').minus({ days });
    return timed ? { instant: clockTime(parts, day, text) } : { span: unitAround(day, 'day') };
  };
  if (direction === 'last') return on(distance || 7);
  if (direction === 'this') return on(now.weekday - ((parts.get('weekday') ?? 0) || 7));
  return distance === 0 && beginOf(on(0)) > now ? on(7) : on(distance);
}

function inMonth({ parts, now }: Question): Reading {
  const month = parts.get('month') ?? now.month;
  const year = parts.isCertain('year') ? (parts.get('year') ?? now.year) : now.year - (month > now.month ? 1 : 0);
  return { span: unitAround(now.startOf('year').set({ year, month }), 'month') };
} // prettier-ignore

function timeOfDay({ parts, text, now }: Question): Reading {
  const today = clockTime(parts, now, text);
  return { instant: today <= now ? today : clockTime(parts, now.minus({ days: 1 }), text) };
}

function clockTime(parts: ParsedComponents, { year, month, day, zone }: DateTime, text: string): DateTime {
  const [hour, minute, second] = [parts.get('hour'), parts.get('minute'), parts.get('second')];
  const local = { year, month, day, hour: hour ?? 0, minute: minute ?? 0, second: second ?? 0 };
  return instantOf(local, zone, text);
}

export function beginOf(reading: Reading): DateTime {
  return 'span' in reading ? reading.span.since : reading.instant;
}

/** "friday evening", "evening of 2026-10-24": a part of a day that was written in words. */
export async function partOfDay(words: string, now: DateTime): Promise<Reading | null> {
  const shape = new RegExp(`^(?:(.+) )?(?:in )?(${Object.keys(DAY_PARTS).join('|')})(?: on)?(?: (.+))?$`);
  const [, before, part, after] = shape.exec(words) ?? [];
  const named = before ?? after;
  if (part === undefined || !isDayPart(part) || (before && after)) return null;
  if (named === undefined || named === 'this') return partAlone(part, now, named === 'this');
  if (named === 'last') return { span: partOf(now.minus({ days: 1 }), part) };
  const day = await dateOf(named, now);
  if (!day || !('span' in day)) return null;
  const [found, length] = [day.span.since, day.span.until.diff(day.span.since, 'hours').hours];
  if (length > 26) return null;
  const span = partOf(found, part);
  // A weekday in words is the latest of which this part has begun.
  if (span.since > now && WEEKDAY.test(named)) {
    return { span: partOf(found.minus({ days: 7 }), part) };
  }
  return { span };
}

/** "this morning" is today's; "morning" alone the latest that has begun. */
function partAlone(part: keyof typeof DAY_PARTS, now: DateTime, today: boolean): Reading {
  const yesterday = partOf(now.minus({ days: 1 }), part);
  // In the small hours the night that began yesterday is still this one.
  if (part === 'night' && now < yesterday.until) return { span: yesterday };
  const span = partOf(now, part);
  return { span: today || span.since <= now ? span : yesterday };
}
