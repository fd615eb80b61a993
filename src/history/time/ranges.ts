import type { DateTime } from 'luxon';
import { beginOf, dateOf } from './library.ts';
import { instantOf, unreadable, type Reading } from './span.ts';

interface Context {
  now: DateTime;
  /** Reads an end of the range. */
  pointOf: (words: string, now: DateTime) => Promise<Reading | null>;
}

const TIME = '\\d{1,2}(?:[:.]\\d{2})?(?: ?[ap]m)?';
/** The times of one day: "between 9 and 10 on tuesday", "yesterday from 21:00 to 23:30", "friday 9:00 - 10:00". */
const TIMES = [
  new RegExp(`^(?:(?<before>.+?) )?between (?:at )?(?<first>${TIME}) and (?<second>${TIME})(?: (?:on )?(?<after>.+))?$`),
  new RegExp(`^(?:(?<before>.+?) )?from (?:at )?(?<first>${TIME}) (?:to|until|-) (?<second>${TIME})(?: (?:on )?(?<after>.+))?$`),
  new RegExp(`^(?:(?<before>.+?) )??(?:at )?(?<first>${TIME}) (?:to|until|-) (?<second>${TIME})(?: (?:on )?(?<after>.+))?$`),
]; // prettier-ignore
const ENDS = [
  /^between (?<first>.+) and (?<second>.+)$/,
  /^(?:from )?(?<first>.+?) (?:to|until|-) (?<second>.+)$/,
];

/** Whatever names two ends, or "since" one; null: nothing of this shape. */
export async function rangeOf(words: string, context: Context): Promise<Reading | null> {
  const since = /^since (.+)$/.exec(words)?.[1];
  if (since !== undefined) {
    const start = await context.pointOf(since, context.now);
    if (!start) return null;
    const [begin, now] = [beginOf(start), context.now];
    // Asked in the very instant in which it begins, it has that instant.
    return { span: { since: begin, until: +begin === +now ? now.plus(1) : now } };
  }
  const times = groupsOf(TIMES, words.replace(/\bmidnight\b/g, '0:00').replace(/\bnoon\b/g, '12:00'));
  if (times && !(times['before'] && times['after'])) return betweenTimes(times, context.now);
  const ends = /^night to /.test(words) ? null : groupsOf(ENDS, words);
  return ends && betweenPoints(ends, context);
}

const MONTH = /^(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*$/;

type Groups = Record<string, string | undefined>;

function groupsOf(shapes: readonly RegExp[], words: string): Groups | null {
  for (const shape of shapes) {
    const groups = shape.exec(words)?.groups;
    if (groups) return groups;
  }
  return null;
}

async function betweenPoints({ first = '', second = '' }: Groups, { now, pointOf }: Context): Promise<Reading | null> {
  const [start, end] = [await pointOf(first, now), await pointOf(second, now)];
  if (!start || !end) return null;
  // A day or month at the far end belongs to the range.
  const until = 'span' in end ? end.span.until : end.instant;
  const since = beginOf(start);
  if (since < until) return { span: { since, until } };
  // Of "friday to monday" the friday before that monday, of "november to january" the november before.
  if (/^(?:[a-z]+day|weekend)\b/.test(first)) return { span: { since: since.minus({ weeks: 1 }), until } };
  if (MONTH.test(first)) return { span: { since: since.minus({ years: 1 }), until } };
  throw unreadable(`"${first}" is not before "${second}"`);
} // prettier-ignore

async function betweenTimes({ before, first = '', second = '', after }: Groups, now: DateTime): Promise<Reading | null> {
  if (/m$/.test(first) !== /m$/.test(second)) {
    throw unreadable(`"${first}" to "${second}": say am or pm at both, or use 24 hours`);
  }
  const [start, end] = [clockOf(first), clockOf(second)];
  const day = (before ?? after)?.replace(/^on /, '');
  const found = await dateOf(day === undefined ? shown(start) : `${day} at ${shown(start)}`, now);
  if (!found || !('instant' in found)) return null;
  const since = found.instant;
  const on = (date: DateTime): DateTime =>
    instantOf({ year: date.year, month: date.month, day: date.day, ...end, second: 0 }, since.zone, second);
  const same = shown(end) > shown(start);
  return {
    span: {
      since,
      until: on(same ? since : since.plus({ days: 1 })),
      ...(!same && { note: `${second} is on the day after` }),
    },
  };
} // prettier-ignore

interface Clock {
  hour: number;
  minute: number;
}

function clockOf(text: string): Clock {
  const [, hours = '', minutes = '0', half] = /^(\d{1,2})(?:[:.](\d{2}))? ?([ap]m)?$/.exec(text) ?? [];
  const hour = half === undefined ? Number(hours) % 24 : (Number(hours) % 12) + (half === 'pm' ? 12 : 0);
  const valid = Number(hours) <= (half === undefined ? 24 : 12) && Number(minutes) < 60;
  if (!valid) throw unreadable(`"${text}" is no time of a day`);
  return { hour, minute: Number(minutes) };
}

function shown({ hour, minute }: Clock): string {
  return `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`;
}
