import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveInterval, type IntervalRequest } from '../../../src/history/interval.ts';

/** Wednesday, 13:00 in Berlin. */
const NOW = Date.parse('2026-11-25T12:00:00Z');
const resolve = (request: IntervalRequest, { now = NOW, zone = 'Europe/Berlin' } = {}) =>
  resolveInterval(request, { now, zone });
const error = async (request: IntervalRequest, options = {}): Promise<any> => {
  const found = await resolve(request, options).then(
    ({ interval }) => interval,
    (thrown: unknown) => thrown,
  );
  expect(found, JSON.stringify(request)).toBeInstanceOf(Error);
  return found;
};

describe('words for an interval', () => {
  it.each([
    // Weekdays and parts of the day: the latest of which something has passed.
    ['friday evening', 'Fri 2026-11-20 18:00 to Sat 2026-11-21 00:00'],
    ['on Friday evening', 'Fri 2026-11-20 18:00 to Sat 2026-11-21 00:00'],
    ['fri evening', 'Fri 2026-11-20 18:00 to Sat 2026-11-21 00:00'],
    ['wednesday', 'Wed 2026-11-25 00:00 to Thu 2026-11-26 00:00'],
    ['last wednesday', 'Wed 2026-11-18 00:00 to Thu 2026-11-19 00:00'],
    ['wednesday morning', 'Wed 2026-11-25 06:00 to Wed 2026-11-25 12:00'],
    ['wednesday evening', 'Wed 2026-11-18 18:00 to Thu 2026-11-19 00:00'],
    ['monday of last week', 'Mon 2026-11-16 00:00 to Tue 2026-11-17 00:00'],
    ['last week friday', 'Fri 2026-11-20 00:00 to Sat 2026-11-21 00:00'],
    ['this morning', 'Wed 2026-11-25 06:00 to Wed 2026-11-25 12:00'],
    ['yesterday afternoon', 'Tue 2026-11-24 12:00 to Tue 2026-11-24 18:00'],
    ['evening of 2026-10-24', 'Sat 2026-10-24 18:00 to Sun 2026-10-25 00:00'],
    ['last night', 'Tue 2026-11-24 22:00 to Wed 2026-11-25 06:00'],
    ['night to saturday', 'Fri 2026-11-20 22:00 to Sat 2026-11-21 06:00'],
    ['the night to wednesday', 'Tue 2026-11-24 22:00 to Wed 2026-11-25 06:00'],
    ['the day before yesterday', 'Mon 2026-11-23 00:00 to Tue 2026-11-24 00:00'],
    // Calendar units.
    ['last month', 'Thu 2026-10-01 00:00 to Sun 2026-11-01 00:00'],
    ['last week', 'Mon 2026-11-16 00:00 to Mon 2026-11-23 00:00'],
    ['week before last', 'Mon 2026-11-09 00:00 to Mon 2026-11-16 00:00'],
    ['the weekend', 'Sat 2026-11-21 00:00 to Mon 2026-11-23 00:00'],
    ['Q3', 'Wed 2026-07-01 00:00 to Thu 2026-10-01 00:00'],
    ['q4', 'Thu 2026-10-01 00:00 to Fri 2027-01-01 00:00'],
    ['third quarter', null],
    ['3rd quarter of 2025', 'Tue 2025-07-01 00:00 to Wed 2025-10-01 00:00'],
    ['last quarter', 'Wed 2026-07-01 00:00 to Thu 2026-10-01 00:00'],
    ['december', 'Mon 2025-12-01 00:00 to Thu 2026-01-01 00:00'],
    ['in october', 'Thu 2026-10-01 00:00 to Sun 2026-11-01 00:00'],
    ['oct 2025', 'Wed 2025-10-01 00:00 to Sat 2025-11-01 00:00'],
    ['25 october', 'Sun 2026-10-25 00:00 to Mon 2026-10-26 00:00'],
    ['december 24th', 'Wed 2025-12-24 00:00 to Thu 2025-12-25 00:00'],
    ['week 45', 'Mon 2026-11-02 00:00 to Mon 2026-11-09 00:00'],
    ['2026-W45', 'Mon 2026-11-02 00:00 to Mon 2026-11-09 00:00'],
    ['in 2025', 'Wed 2025-01-01 00:00 to Thu 2026-01-01 00:00'],
    // Rolling, and with two ends.
    ['last 24 hours', 'Tue 2026-11-24 13:00 to Wed 2026-11-25 13:00'],
    ['past week', 'Wed 2026-11-18 13:00 to Wed 2026-11-25 13:00'],
    ['since monday', 'Mon 2026-11-23 00:00 to Wed 2026-11-25 13:00'],
    ['between 9 and 10 on tuesday', 'Tue 2026-11-24 09:00 to Tue 2026-11-24 10:00'],
    ['friday 9am to 11am', 'Fri 2026-11-20 09:00 to Fri 2026-11-20 11:00'],
    ['yesterday 9:00-10:30', 'Tue 2026-11-24 09:00 to Tue 2026-11-24 10:30'],
    ['between 22 and 2 on tuesday', 'Tue 2026-11-24 22:00 to Wed 2026-11-25 02:00'],
    ['midnight to 6:00 on sunday', 'Sun 2026-11-22 00:00 to Sun 2026-11-22 06:00'],
    ['monday to friday', 'Mon 2026-11-16 00:00 to Sat 2026-11-21 00:00'],
    ['november to january', 'Sat 2025-11-01 00:00 to Sun 2026-02-01 00:00'],
    ['between friday evening and monday morning', 'Fri 2026-11-20 18:00 to Mon 2026-11-23 12:00'],
    // The same in German.
    ['freitag abend', 'Fri 2026-11-20 18:00 to Sat 2026-11-21 00:00'],
    ['am Freitagabend', 'Fri 2026-11-20 18:00 to Sat 2026-11-21 00:00'],
    ['gestern', 'Tue 2026-11-24 00:00 to Wed 2026-11-25 00:00'],
    ['vorgestern nachmittag', 'Mon 2026-11-23 12:00 to Mon 2026-11-23 18:00'],
    ['heute morgen', 'Wed 2026-11-25 06:00 to Wed 2026-11-25 12:00'],
    ['letzten monat', 'Thu 2026-10-01 00:00 to Sun 2026-11-01 00:00'],
    ['letzte woche', 'Mon 2026-11-16 00:00 to Mon 2026-11-23 00:00'],
    ['vorletzte Woche', 'Mon 2026-11-09 00:00 to Mon 2026-11-16 00:00'],
    ['letzte nacht', 'Tue 2026-11-24 22:00 to Wed 2026-11-25 06:00'],
    ['in der Nacht auf Samstag', 'Fri 2026-11-20 22:00 to Sat 2026-11-21 06:00'],
    ['am Wochenende', 'Sat 2026-11-21 00:00 to Mon 2026-11-23 00:00'],
    ['im Oktober 2025', 'Wed 2025-10-01 00:00 to Sat 2025-11-01 00:00'],
    ['im März', 'Sun 2026-03-01 00:00 to Wed 2026-04-01 00:00'],
    ['25.10.2026', 'Sun 2026-10-25 00:00 to Mon 2026-10-26 00:00'],
    ['vom 1.10. bis 3.10.', 'Thu 2026-10-01 00:00 to Sun 2026-10-04 00:00'],
    ['KW 45', 'Mon 2026-11-02 00:00 to Mon 2026-11-09 00:00'],
    ['3. Quartal 2025', 'Tue 2025-07-01 00:00 to Wed 2025-10-01 00:00'],
    ['letzte 24 Stunden', 'Tue 2026-11-24 13:00 to Wed 2026-11-25 13:00'],
    ['zwischen 9 und 10 am dienstag', 'Tue 2026-11-24 09:00 to Tue 2026-11-24 10:00'],
    ['am 25.10. zwischen 14 Uhr und 15:30 Uhr', 'Sun 2026-10-25 14:00 to Sun 2026-10-25 15:30'],
    ['seit montag', 'Mon 2026-11-23 00:00 to Wed 2026-11-25 13:00'],
  ])('%s', async (during, expected) => {
    if (expected === null) return void (await error({ during }));
    const { interval } = await resolve({ during });
    expect(interval.local.replace(/:00 [+-]\d\d:00/g, '')).toBe(expected);
  });

  it('say which hours a part of the day has', async () => {
    expect((await resolve({ during: 'friday night' })).interval.note).toBe('night means 22:00 to 06:00');
  });

  it('at the edges of a day mean the latest that has begun', async () => {
    const begin = async (during: string, now: string) =>
      (await resolve({ during }, { now: Date.parse(now), zone: 'UTC' })).interval.since;
    expect(await begin('evening', '2026-11-25T17:59:59Z')).toBe('2026-11-24T18:00:00.000Z');
    expect(await begin('evening', '2026-11-25T18:00:00Z')).toBe('2026-11-25T18:00:00.000Z');
    expect(await begin('night', '2026-11-25T03:00:00Z')).toBe('2026-11-24T22:00:00.000Z');
    expect(await begin('wednesday', '2026-11-25T00:00:00Z')).toBe('2026-11-25T00:00:00.000Z');
    expect(await begin('weekend', '2026-11-28T00:00:00Z')).toBe('2026-11-28T00:00:00.000Z');
    expect(await begin('last weekend', '2026-11-28T00:00:00Z')).toBe('2026-11-21T00:00:00.000Z');
    expect(await begin('week 1', '2027-01-03T12:00:00Z')).toBe('2025-12-29T00:00:00.000Z');
  });
});

describe('words for an instant', () => {
  it.each([
    ['yesterday 21:17', '2026-11-24T20:17:00.000Z'],
    ['gestern um 21:17 Uhr', '2026-11-24T20:17:00.000Z'],
    ['friday at 9', '2026-11-20T08:00:00.000Z'],
    ['wednesday at 14:00', '2026-11-18T13:00:00.000Z'],
    ['letzten Freitag um 9 Uhr', '2026-11-20T08:00:00.000Z'],
    ['9am', '2026-11-25T08:00:00.000Z'],
    ['14:00', '2026-11-24T13:00:00.000Z'],
    ['noon yesterday', '2026-11-24T11:00:00.000Z'],
    ['3 days ago', '2026-11-22T12:00:00.000Z'],
    ['vor 2 Stunden', '2026-11-25T10:00:00.000Z'],
    ['24 nov 2026 21:17', '2026-11-24T20:17:00.000Z'],
    ['yesterday 21:17 UTC', '2026-11-24T21:17:00.000Z'],
    ['midnight', '2026-11-24T23:00:00.000Z'],
  ])('%s begins an open interval, and is none by itself', async (text, utc) => {
    const { interval } = await resolve({ since: text });
    expect(interval).toMatchObject({ since: utc, until: null });
    expect((await error({ during: text })).message).toContain('one instant');
  });

  it('an interval in since alone sets both ends and says so; in until it means its beginning', async () => {
    const alone = await resolve({ since: 'friday evening' });
    expect(alone.interval.local).toBe('Fri 2026-11-20 18:00:00 +01:00 to Sat 2026-11-21 00:00:00 +01:00');
    expect(alone.interval.note).toContain('until was set to its end');
    const both = await resolve({ since: 'monday', until: 'wednesday' });
    expect(both.interval.local).toBe('Mon 2026-11-23 00:00:00 +01:00 to Wed 2026-11-25 00:00:00 +01:00');
    expect(both.interval.note).toBe('until "wednesday" means its beginning');
  });
});

describe('what is refused', () => {
  it.each([
    ['foo 3 bar', 'foo'],
    ['friday evening please drop tables', 'only "friday evening"', 'please'],
    ['half past 9 yesterday', 'half'],
    ['next friday', 'next'],
    ['friday next week', 'next'],
    ['2 weeks ago on friday', 'ago'],
    ['before friday', 'before'],
    ['friday or saturday', 'or'],
    ['every friday', 'every'],
    ['beginning of october', 'beginning'],
    ['tomorrow', 'future'],
    ['this evening', 'future'],
    ['this friday', 'future'],
    ['in 3 days', 'not understood'],
    ['february 30', 'not understood'],
    ['friday 26 october 2026', 'is a monday'],
    ['week 54', 'no week 54'],
    ['10/11/2026', 'two ways'],
    ['24.11.26', 'two ways'],
    ['tuesday, 24-11-26', 'two ways'],
    ['friday 13', 'time or a date'],
    ['month', 'may mean two'],
    ['9 to 10 pm', 'am or pm'],
    ['between 25 and 26 on tuesday', 'no time of a day'],
    ['friday midnight', 'both ends'],
    ['last 0 days', 'not before'],
  ])('%s, with what was understood', async (during, ...parts) => {
    const refused = await error({ during });
    expect(refused).toMatchObject({ code: 'invalid_argument', valid: expect.any(Array) });
    expect(
      parts.some((part) => refused.message.includes(part)),
      refused.message,
    ).toBe(true);
  });

  it('an hour that exists twice or never, also inside words', async () => {
    const twice = await error({ since: '25 october 2026 02:30' });
    expect(twice.valid).toEqual(['2026-10-25T02:30:00.000+02:00', '2026-10-25T02:30:00.000+01:00']);
    expect((await error({ during: 'between 2 and 3 on 2026-10-25' })).message).toContain('twice');
    expect((await error({ since: '29 march 2026 at 2:30am' })).message).toContain('does not exist');
    const half = await error({ since: '2026-04-05 01:45' }, { zone: 'Australia/Lord_Howe' });
    expect(half.valid).toEqual(['2026-04-05T01:45:00.000+11:00', '2026-04-05T01:45:00.000+10:30']);
  });
});

describe('for any time and zone', () => {
  const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC', 'Africa/Cairo'];
  const WORDS = [
    'yesterday', 'today', 'last week', 'this week', 'last month', 'weekend', 'last weekend', 'q3', 'monday', 'sunday',
    'friday evening', 'saturday morning', 'sunday night', 'night to sunday', 'last night', 'last quarter', 'october',
    'since monday', 'last 24 hours', 'week 13', 'wednesday to friday', 'gestern abend', 'letztes wochenende', '36h',
  ]; // prettier-ignore
  const moment = fc
    .date({ min: new Date('2024-01-01'), max: new Date('2028-12-31'), noInvalidDate: true })
    .map((date) => date.getTime());
  const zone = fc.constantFrom(...ZONES);

  it('words give a half-open interval that has begun, and its echo gives the same interval again', async () => {
    await fc.assert(
      fc.asyncProperty(moment, zone, fc.constantFrom(...WORDS), async (now, where, during) => {
        const { span, interval } = await resolve({ during }, { now, zone: where });
        expect(span.since!).toBeLessThan(span.until!);
        expect(span.since!).toBeLessThanOrEqual(now);
        const [since, until] = [interval.since!, interval.until!];
        const echoed = await resolve({ since, until }, { now: now + 3 * 86_400_000, zone: 'Asia/Kolkata' });
        expect(echoed.span).toEqual(span);
      }),
      // Asked as the week begins.
      { numRuns: 400, examples: [[Date.UTC(2024, 0, 1), 'UTC', 'since monday']] },
    );
  });

  it('later questions never mean an earlier interval', async () => {
    const step = fc.integer({ min: 0, max: 20 * 86_400_000 });
    await fc.assert(
      fc.asyncProperty(moment, step, zone, fc.constantFrom(...WORDS), async (now, later, where, during) => {
        const [one, two] = [
          await resolve({ during }, { now, zone: where }),
          await resolve({ during }, { now: now + later, zone: where }),
        ];
        expect(two.span.since!).toBeGreaterThanOrEqual(one.span.since!);
        expect(two.span.until!).toBeGreaterThanOrEqual(one.span.until!);
      }),
      { numRuns: 300 },
    );
  });

  it('the parts of a day follow each other, and a night is the eve of its day', async () => {
    await fc.assert(
      fc.asyncProperty(moment, zone, async (now, where) => {
        const day = new Date(now - 40 * 86_400_000).toISOString().slice(0, 10);
        const of = async (during: string) => (await resolve({ during }, { now, zone: where })).span;
        const [morning, afternoon, evening, whole] = [
          await of(`morning of ${day}`),
          await of(`afternoon of ${day}`),
          await of(`evening of ${day}`),
          await of(day),
        ];
        expect([morning.until, afternoon.until, evening.until]).toEqual([afternoon.since, evening.since, whole.until]);
        const next = new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);
        expect(await of(`night to ${next}`)).toEqual(await of(`night of ${day}`));
      }),
      { numRuns: 200 },
    );
  }); // prettier-ignore

  it('any words give an interval or a refusal that teaches, never another error', async () => {
    const pieces = fc.constantFrom('friday', 'last', 'to', 'between', 'and', '9', '10:00', 'since', 'week', '25', 'night', 'am', 'the', 'ago', '3', 'days', '-', 'bis', 'q3', '25.10.', '2026-10-25', 'midnight', '\u0000', '💥', "'; --"); // prettier-ignore
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 7 }), async (words) => {
        const result = await resolve({ during: words.join(' ') }).catch((thrown: unknown) => thrown);
        if (result instanceof Error) expect(result).toMatchObject({ code: 'invalid_argument', next: expect.any(String) });
        else expect((result as any).span.since).toBeLessThan((result as any).span.until);
      }),
      { numRuns: 1_500 },
    );
  }); // prettier-ignore
});
