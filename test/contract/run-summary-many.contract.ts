import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CUBES, countStatements } from '../../src/adapters/sql/cubes.ts';
import { bucketOf, middleOf } from '../../src/adapters/sql/narrow.ts';
import type { RunHistory } from '../../src/history/search.ts';
import { summarize } from '../../src/history/summarize.ts';
import type { GroupKey, RunGroup, SummaryPage } from '../../src/history/summary.ts';

const RUNS = 260_000;
const BEGIN = Date.UTC(2025, 0, 1);
const STEP_MS = 90_000;
/** Some weeks and hours. */
const LEFT_OUT = 44_321;

interface Row {
  start: number;
  action: 'deploy' | 'restart';
  status: 'success' | 'failed';
  duration: number;
}

/** From a tenth of a second to a day, without any chance in it. */
const rows: Row[] = Array.from({ length: RUNS }, (_, n) => ({
  start: BEGIN + n * STEP_MS,
  action: n % 3 ? 'deploy' : 'restart',
  status: n % 7 ? 'success' : 'failed',
  duration: Math.floor(100 * Math.exp((((n * 7_919) % RUNS) / RUNS) * 13.6)),
}));

/** A ledger whose tables for questions can be filled: two terms, narrow runs, and their counts up to a day before the last one. */
export interface ManyPlace {
  history: Pick<RunHistory, 'summarize' | 'extent'>;
  fill(runs: Filling): Promise<void>;
  remove(): Promise<void>;
}

export interface Filling {
  /** In the order of ids from 1. */
  actions: readonly string[];
  rows: readonly {
    start: number;
    n: number;
    action: number;
    state: number;
    bucket: number;
    duration: number;
  }[];
  counted_until: number;
  /** Those that the questions here read. */
  counts: readonly string[];
}

const ACTIONS = ['deploy', 'restart'];

function filling(): Filling {
  const until = BEGIN + (RUNS - 1) * STEP_MS - 86_400_000;
  const counted_until = until - (until % 3_600_000);
  const all = countStatements(`narrow_runs c WHERE c.start < ${counted_until}`);
  return {
    actions: ACTIONS,
    rows: rows.map(({ start, action, status, duration }, n) => ({
      ...{ start, n: n + 1, duration, bucket: bucketOf(duration) },
      action: ACTIONS.indexOf(action) + 1,
      state: status === 'success' ? 2 : 3,
    })),
    counted_until,
    counts: CUBES.flatMap(({ columns }, index) =>
      columns.every((column) => column === 'action' || column === 'bucket') ? [all[index]!] : [],
    ),
  };
}

function exactly(found: readonly Row[]): NonNullable<RunGroup['duration']> {
  const ascending = Float64Array.from(found, ({ duration }) => duration).sort();
  const at = (share: number): number => ascending[Math.ceil(share * ascending.length) - 1]!;
  return { p50: at(0.5), p95: at(0.95), max: at(1) };
}

function grouped(found: readonly Row[], keyOf: (row: Row) => (string | null)[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of found) {
    const key = JSON.stringify(keyOf(row));
    const members = groups.get(key);
    if (members) members.push(row);
    else groups.set(key, [row]);
  }
  return groups;
}

const months = new Map<number, string>();

/** Of the clocks in Berlin, which are asked once for each hour. */
function month({ start }: Row): string {
  const hour = Math.floor(start / 3_600_000);
  const known = months.get(hour) ?? BERLIN.format(start).slice(0, 7);
  months.set(hour, known);
  return known;
}

const BERLIN = new Intl.DateTimeFormat('sv', { timeZone: 'Europe/Berlin' });

export const GROUPS: [GroupKey[], (row: Row) => (string | null)[]][] = [
  [[], () => []],
  [['action'], ({ action }) => [action]],
  [['status'], ({ status }) => [status]],
  [['action', 'status'], ({ action, status }) => [action, status]],
  [['month'], (row) => [month(row)]],
  [['status', 'month'], (row) => [row.status, month(row)]],
];

/** Percentiles of merged counts are marked and within 1 %; those of fewer runs are exact, for these groups. */
export function manyRunsContract(name: string, open: () => Promise<ManyPlace>, exact = GROUPS): void {
  describe(`durations of very many runs on ${name}`, () => {
    let place: ManyPlace;
    beforeAll(async () => {
      place = await open();
      await place.fill(filling());
    }, 120_000);
    afterAll(() => place.remove());

    const ask = (group_by: GroupKey[], since: number | null = null) => {
      const filters = { span: { since, until: null }, time_field: 'started' as const };
      const question = { filters, group_by, timezone: 'Europe/Berlin', order: 'runs', skip: 0, limit: 100 } as const;
      return summarize(place.history, question);
    }; // prettier-ignore

    const expectClose = ({ groups }: SummaryPage, right: Map<string, Row[]>): void => {
      expect(groups).toHaveLength(right.size);
      for (const { key, runs, duration } of groups) {
        const members = right.get(JSON.stringify(key))!;
        expect(runs).toBe(members.length);
        for (const [name, value] of Object.entries(exactly(members))) {
          const ours = duration![name as 'p50'];
          expect(Math.abs(ours - value) / value, `${key} ${name}: ${ours} for ${value}`).toBeLessThan(0.01);
        }
      }
    };

    it.each(GROUPS)('by %j are marked, and wrong by less than 1 %%', async (group_by, keyOf) => {
      const answer = await ask(group_by);
      expect(answer).toMatchObject({ approximate: true, total_runs: RUNS });
      expectClose(answer, grouped(rows, keyOf));
    });

    it.each(GROUPS)('by %j are so as well from somewhere within a slot on', async (group_by, keyOf) => {
      const answer = await ask(group_by, BEGIN + LEFT_OUT * STEP_MS - 1);
      expect(answer).toMatchObject({ approximate: true, total_runs: RUNS - LEFT_OUT });
      expectClose(answer, grouped(rows.slice(LEFT_OUT), keyOf));
    });

    it('are exact and not marked up to 200,000 runs', async () => {
      const since = BEGIN + (RUNS - 200_000) * STEP_MS;
      for (const [group_by, keyOf] of exact) {
        const answer = await ask(group_by, since);
        expect(answer).toMatchObject({ approximate: false, total_runs: 200_000 });
        const right = grouped(rows.slice(-200_000), keyOf);
        for (const { key, duration } of answer.groups) {
          expect(duration).toEqual(exactly(right.get(JSON.stringify(key))!));
        }
      }
      expect((await ask([], since - STEP_MS)).approximate).toBe(true);
    });
  });
}

/** What both databases count by. */
export function bucketsContract(): void {
  describe('durations of very many runs', () => {
    it('have buckets of which no middle is wrong by 1 %', () => {
      fc.assert(
        fc.property(fc.double({ min: 0, max: 12, noNaN: true }), (exponent) => {
          const duration = Math.round(10 ** exponent);
          expect(Math.abs(middleOf(bucketOf(duration)) - duration) / duration).toBeLessThan(0.01);
        }),
        { numRuns: 5_000 },
      );
    });
  });
}
