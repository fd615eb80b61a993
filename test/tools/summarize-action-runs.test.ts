import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NAME_GROUPS } from '../../src/history/summary.ts';
import { fillLedger, type Past } from '../support/fill-ledger.ts';
import { connect, tempFolder, type Connection } from '../support/mcp.ts';

// The night in which Berlin's clocks go back: 02:00 to 03:00 exists twice.
const NIGHT = Date.UTC(2026, 9, 24, 22);
const HOUR = 3_600_000;

const history: Past[] = Array.from({ length: 26 }, (_, n) => ({
  requested_at: NIGHT + n * HOUR,
  organization: n % 2 ? 'acme' : 'globex',
  workspace: 'shop',
  block: n % 3 ? 'web' : 'db',
  action: 'deploy',
  display: n % 2 ? 'Ada' : 'Bob',
  status: n % 5 ? 'success' : 'failed',
  duration_ms: 1_000 * (n + 1),
}));

let home: Awaited<ReturnType<typeof tempFolder>>;
let server: Connection;
beforeAll(async () => {
  home = await tempFolder('home');
  await fillLedger(home.path, [...history, { requested_at: NIGHT, launched: false, status: 'cancelled' }]);
  server = await connect({ home: home.path });
});
afterAll(async () => {
  await server.close();
  await home.remove();
});

const ask = async (args: Record<string, unknown> = {}): Promise<any> =>
  (await server.call('summarize_action_runs', args)).data;

describe('summarize_action_runs', () => {
  it('counts everything without a group', async () => {
    const answer = await ask();
    expect(answer).toMatchObject({ total_runs: 26, total_groups: 1, returned: 1, next_cursor: null, approximate: false });
    expect(answer.excluded).toEqual({ never_launched: 1, workflow_parents: 0 });
    expect(answer.groups).toEqual([
      {
        key: {}, runs: 26, success: 20, failed: 6, cancelled: 0, unknown: 0,
        duration: { p50: 13_000, p95: 25_000, max: 26_000 },
        first: '2026-10-24T22:00:00.000Z', last: '2026-10-25T23:00:00.000Z',
      },
    ]);
    expect(answer.coverage).toHaveLength(1);
  }); // prettier-ignore

  it('has the days and hours of the zone, also where the clocks change', async () => {
    const days = await ask({ group_by: 'day', order: 'key', timezone: 'Europe/Berlin' });
    expect(days.groups.map(({ key, runs }: any) => [key.day, runs])).toEqual([['2026-10-25', 25], ['2026-10-26', 1]]);
    const utc = await ask({ group_by: ['day'], order: 'key', timezone: 'UTC' });
    expect(utc.groups.map(({ key, runs }: any) => [key.day, runs])).toEqual([['2026-10-24', 2], ['2026-10-25', 24]]);
    const hours = await ask({ group_by: 'hour', order: 'key', timezone: 'Europe/Berlin', limit: 5 });
    expect(hours.groups.map(({ key }: any) => key.hour).slice(1, 4)).toEqual([
      '2026-10-25T01:00+02:00', '2026-10-25T02:00+02:00', '2026-10-25T02:00+01:00',
    ]);
    expect(hours).toMatchObject({ total_groups: 26, returned: 5 });
  }); // prettier-ignore

  it('groups by names, filters like a search, and gives page after page', async () => {
    const found = await ask({ group_by: ['organization', 'block'], organization: ['acme'], block: 'web' });
    expect(found.groups).toMatchObject([{ key: { organization: 'acme', block: 'web' }, runs: 9 }]);
    const all: any[] = [];
    for (let cursor: string | undefined, n = 0; n < 10; n++) {
      const page = await ask({ group_by: ['user', 'block', 'status'], limit: 3, ...(cursor && { cursor }) });
      all.push(...page.groups);
      expect(page.total_groups).toBe(8);
      if (page.next_cursor === null) break;
      cursor = page.next_cursor;
    }
    expect(all).toHaveLength(8);
    expect(all.reduce((sum, { runs }) => sum + runs, 0)).toBe(26);
    expect(new Set(all.map(({ key }) => JSON.stringify(key))).size).toBe(8);
  });

  it.each([
    [{ group_by: ['day', 'month'] }, /only one/],
    [{ group_by: 'blok' }, /group_by/],
    [{ status: 'broken' }, /status/],
    [{ block: 'wbe' }, /wbe/],
    [{ limit: 1_000_000 }, /limit/],
    [{ limit: 0 }, /limit/],
    [{ group_by: [...NAME_GROUPS, 'day'] }, /group_by/],
    [{ since: '2026-10-26', until: '2026-10-24' }, /since|until/],
    [{ cursor: 'forged' }, /cursor/],
    [{ order: 'up' }, /order/],
    [{ during: '2026', since: '2026' }, /during/],
  ])('refuses %j', async (args, words) => {
    const { isError, error } = await server.call('summarize_action_runs', args);
    expect(isError).toBe(true);
    expect(error!.message).toMatch(words);
  });
});

describe('trace_versions and find_changes refuse', () => {
  const at = new Date(NIGHT).toISOString();
  it.each([
    ['trace_versions', { limit: 0 }, /limit/],
    ['trace_versions', { limit: 1_000_000 }, /limit/],
    ['trace_versions', { since: '2026-10-26', until: '2026-10-24' }, /since|until/],
    ['trace_versions', { cursor: 'forged' }, /cursor/],
    ['trace_versions', { block: 'wbe' }, /wbe/],
    ['find_changes', { at, limit: 0 }, /limit/],
    ['find_changes', { at, limit: 1_000_000 }, /limit/],
    ['find_changes', { at, before: '36500d' }, /before/],
    ['find_changes', { at, before: '90d', after: '90d' }, /92 days/],
    ['find_changes', { at, before: '0h', after: '0h' }, /zero/],
    ['find_changes', { at, before: '-3h' }, /before/],
    ['find_changes', { at: 'friday evening, or so' }, /friday/],
    ['find_changes', { at, cursor: 'forged' }, /cursor/],
  ])('%s %j', async (tool, args, says) => {
    const { error } = await server.call(tool, args);
    expect(error?.code).toMatch(/invalid_argument|unknown_name/);
    expect(error?.message).toMatch(says);
    expect(error?.next).toBeTruthy();
  });

  it('and answer for a century', async () => {
    const { data, error } = await server.call('trace_versions', { since: '1970-01-01', until: '2069-12-31' });
    expect(error).toBeNull();
    expect(data.total).toBe(4);
  });
});
