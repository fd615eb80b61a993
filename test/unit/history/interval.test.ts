import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveInterval, type IntervalRequest } from '../../../src/history/interval.ts';

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
  it('without arguments is unbounded', () => {
    expect(resolve({})).toMatchObject({
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
  ])('%s is that long before now', (since, ms) => {
    expect(resolve({ since }).span).toEqual({ since: NOW - ms, until: null });
    expect(resolve({ during: since }).span).toEqual({ since: NOW - ms, until: NOW });
  });

  it('counts days by the calendar of the zone', () => {
    // The clock was put back on 25 October, so that 27 days are an hour longer.
    expect(resolve({ since: '27d' }).interval.since).toBe('2026-10-24T11:00:00.000Z');
    expect(resolve({ during: '2026-10-25' }).span).toEqual({
      since: Date.parse('2026-10-24T22:00:00Z'),
      until: Date.parse('2026-10-25T23:00:00Z'),
    });
    expect(resolve({ during: '2026-03-29' }).interval.local).toBe(
      'Sun 2026-03-29 00:00:00 +01:00 to Mon 2026-03-30 00:00:00 +02:00',
    );
  });

  it('refuses what exists twice with both meanings, and what never existed', () => {
    expect(() => resolve({ since: '2026-10-25T02:30' })).toThrow(
      expect.objectContaining({ valid: ['2026-10-25T02:30:00.000+02:00', '2026-10-25T02:30:00.000+01:00'] }),
    );
    expect(() => resolve({ since: '2026-03-29T02:30' })).toThrow('does not exist');
    expect(resolve({ since: '2026-10-25T02:30+01:00' }).interval.since).toBe('2026-10-25T01:30:00.000Z');
    expect(resolve({ since: '2026-10-25T02:30' }, 'UTC').interval.since).toBe('2026-10-25T02:30:00.000Z');
  });

  it.each(['', ' ', 'now', 'yesterday', '2026-13', '2026-02-29', '26-01-01', '2026-01-01T25:00', '12:30', '5', '-d', '1e9d', '9'.repeat(99), '2026-W05', '20261025'])(
    '%j is refused with what would be understood',
    (since) => {
      expect(() => resolve({ since })).toThrow(expect.objectContaining({ code: 'invalid_argument', valid: expect.any(Array) }));
      expect(() => resolve({ during: since })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    },
  ); // prettier-ignore

  it('a day, a month and a year follow each other without gap or overlap, in every zone', () => {
    const day = fc
      .integer({ min: 0, max: 20_000 })
      .map((n) => new Date(n * 86_400_000).toISOString().slice(0, 10));
    fc.assert(
      fc.property(day, fc.constantFrom(...ZONES), (date, zone) => {
        const next = new Date(Date.parse(date) + 86_400_000).toISOString().slice(0, 10);
        const gone = zone === 'Pacific/Apia' && [date, next].includes('2011-12-30');
        if (gone) return;
        const [one, two] = [resolve({ during: date }, zone).span, resolve({ during: next }, zone).span];
        expect(one.until).toBe(two.since);
        const month = resolve({ during: date.slice(0, 7) }, zone).span;
        const year = resolve({ during: date.slice(0, 4) }, zone).span;
        expect(month.since! <= one.since! && one.until! <= month.until!).toBe(true);
        expect(year.since! <= month.since! && month.until! <= year.until!).toBe(true);
      }),
    );
  });

  it('an instant in UTC is the same in every zone', () => {
    const time = fc.date({ min: new Date('1990-01-01'), max: new Date('2040-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(time, fc.constantFrom(...ZONES), (date, zone) => {
        expect(resolve({ since: date.toISOString() }, zone).span.since).toBe(date.getTime());
      }),
    );
  });
});
