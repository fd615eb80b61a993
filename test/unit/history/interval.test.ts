import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveInstant, resolveInterval, type IntervalRequest } from '../../../src/history/interval.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const resolve = (request: IntervalRequest, zone = 'Europe/Berlin') =>
  resolveInterval(request, { now: NOW, zone });
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'Pacific/Apia',
  'Australia/Lord_Howe',
];

describe('resolveInterval', () => {
  it('without arguments is unbounded', async () => {
    expect(await resolve({})).toMatchObject({
      span: { since: null, until: null },
      interval: { since: null, until: null, local: 'the beginning to now', note: null },
    });
  });

  it.each([
    ['24h', 24 * 3_600_000],
    ['-24h', 24 * 3_600_000],
    ['90m', 90 * 60_000],
    ['90min', 90 * 60_000],
    ['30s', 30_000],
    ['1.5h', 90 * 60_000],
    ['2 h', 2 * 3_600_000],
  ])('%s is that long before now', async (since, ms) => {
    expect((await resolve({ since })).span).toEqual({ since: NOW - ms, until: null });
    expect((await resolve({ during: since })).span).toEqual({ since: NOW - ms, until: NOW });
  });

  it('counts days by the calendar of the zone', async () => {
    // The clock was put back on 25 October, so that 27 days are an hour longer.
    expect((await resolve({ since: '27d' })).interval.since).toBe('2026-10-24T11:00:00.000Z');
    expect((await resolve({ during: '2026-10-25' })).span).toEqual({
      since: Date.parse('2026-10-24T22:00:00Z'),
      until: Date.parse('2026-10-25T23:00:00Z'),
    });
    expect((await resolve({ during: '2026-03-29' })).interval.local).toBe(
      'Sun 2026-03-29 00:00:00 +01:00 to Mon 2026-03-30 00:00:00 +02:00',
    );
  });

  it('refuses what exists twice with both meanings, and what never existed', async () => {
    await expect(resolve({ since: '2026-10-25T02:30' })).rejects.toThrow(
      expect.objectContaining({ valid: ['2026-10-25T02:30:00.000+02:00', '2026-10-25T02:30:00.000+01:00'] }),
    );
    await expect(resolve({ since: '2026-03-29T02:30' })).rejects.toThrow('does not exist');
    expect((await resolve({ since: '2026-10-25T02:30+01:00' })).interval.since).toBe(
      '2026-10-25T01:30:00.000Z',
    );
    expect((await resolve({ since: '2026-10-25T02:30' }, 'UTC')).interval.since).toBe(
      '2026-10-25T02:30:00.000Z',
    );
  });

  it.each(['', ' ', 'nowish', '2026-13', '2026-02-29', '26-01-01', '2026-01-01T25:00', '2026-01-01T25:00Z', '5', '-d', '1e9d', '99999w', '9'.repeat(99), '2026-W54', '20261025', '1066', '9999-01-01'])(
    '%j is refused with what would be understood',
    async (since) => {
      await expect(resolve({ since })).rejects.toThrow(expect.objectContaining({ code: 'invalid_argument', valid: expect.any(Array) }));
      await expect(resolve({ during: since })).rejects.toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    },
  ); // prettier-ignore

  it('a day, a month and a year follow each other without gap or overlap, in every zone', async () => {
    const day = fc
      .integer({ min: 0, max: 20_000 })
      .map((n) => new Date(n * 86_400_000).toISOString().slice(0, 10));
    await fc.assert(
      fc.asyncProperty(day, fc.constantFrom(...ZONES), async (date, zone) => {
        const next = new Date(Date.parse(date) + 86_400_000).toISOString().slice(0, 10);
        const gone = zone === 'Pacific/Apia' && [date, next].includes('2011-12-30');
        if (gone) return;
        const [{ span: one }, { span: two }] = [
          await resolve({ during: date }, zone),
          await resolve({ during: next }, zone),
        ];
        expect(one.until).toBe(two.since);
        const { span: month } = await resolve({ during: date.slice(0, 7) }, zone);
        const { span: year } = await resolve({ during: date.slice(0, 4) }, zone);
        expect(month.since! <= one.since! && one.until! <= month.until!).toBe(true);
        expect(year.since! <= month.since! && month.until! <= year.until!).toBe(true);
      }),
    );
  });

  it('an instant in UTC is the same in every zone', async () => {
    const time = fc.date({ min: new Date('1990-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });
    await fc.assert(
      fc.asyncProperty(time, fc.constantFrom(...ZONES), async (date, zone) => {
        expect((await resolve({ since: date.toISOString() }, zone)).span.since).toBe(date.getTime());
      }),
    );
  });

  it('one instant: an interval means its beginning, and says so', async () => {
    const at = (text: string) =>
      resolveInstant('at', text, { now: NOW, zone: 'Europe/Berlin', timezone: undefined });
    expect(await at('yesterday 21:17')).toEqual({
      at: Date.parse('2026-11-19T20:17:00Z'),
      utc: '2026-11-19T20:17:00.000Z',
      local: 'Thu 2026-11-19 21:17:00 +01:00',
      timezone: 'Europe/Berlin',
      note: null,
    });
    expect(await at('yesterday evening')).toMatchObject({
      utc: '2026-11-19T17:00:00.000Z',
      note: expect.stringContaining('beginning'),
    });
    await expect(at('whenever')).rejects.toThrow('at: "whenever" was not understood');
  });
});
