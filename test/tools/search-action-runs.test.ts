import { describe, expect, it } from 'vitest';
import type { Past } from '../support/fill-ledger.ts';
import { useSearchServer } from '../support/search-server.ts';
import { COUNTED, OTHERS } from '../support/search-story.ts';

/** Everything that history counts: what was launched, and no workflow parents. */
const RUNS = [...COUNTED, ...OTHERS.filter(({ kind, launched, status }) => !kind && launched !== false && status !== 'pending')]; // prettier-ignore

const { search, refused, server, stored } = useSearchServer();
const count = (test: (past: Past) => boolean): number => RUNS.filter(test).length;

describe('filters', () => {
  it.each<[Record<string, unknown>, (past: Past) => boolean]>([
    [{}, () => true],
    [{ organization: 'globex' }, ({ organization }) => organization === 'globex'],
    [{ organization: ['acme', 'globex'] }, () => true],
    [{ workspace: ['acme/platform', 'globex/platform'] }, ({ workspace }) => workspace === 'platform'],
    [{ workspace: 'platform', organization: 'acme' }, (past) => past.organization === 'acme' && past.workspace === 'platform'],
    [{ workspace: 'platform', organization: ['acme', 'globex'] }, ({ workspace }) => workspace === 'platform'],
    [{ workspace: 'shop' }, ({ workspace }) => workspace === undefined || workspace === 'shop'],
    [{ block: 'db' }, ({ block }) => block === undefined || block === 'db'],
    [{ block: 'acme/db' }, ({ block }) => block?.endsWith('acme/db') === true],
    [{ block: 'acme/db:1.2.0' }, (past) => past.block?.endsWith('acme/db') === true && past.block_version === '1.2.0'],
    [{ block: ['acme/db:1.2.0', 'web'] }, (past) => past.block_version === '1.2.0'],
    [{ workspace: 'globex/platform' }, (past) => past.organization === 'globex' && past.workspace === 'platform'],
    [{ environment: 'production' }, ({ environment }) => environment === 'production'],
    [{ block: 'web' }, ({ block }) => block === 'web'],
    [{ block: ['web', 'stuck'] }, ({ block }) => block === 'web' || block === 'stuck'],
    [{ block_version: '1.2.0' }, (past) => past.block_version === '1.2.0'],
    [{ block_version: '15' }, (past) => past.app_version === '15'],
    [{ from: 'acme/postgres' }, (past) => past.block_from?.includes('postgres') === true],
    [{ from: 'cargo.example.com/acme/postgres:2.1' }, (past) => past.block_from?.includes('postgres') === true],
    [{ from: 'postgres' }, (past) => past.block_from?.includes('postgres') === true],
    [{ from: 'nginx' }, (past) => past.block_from === 'nginx:1'],
    [{ action: 'deploy' }, ({ action }) => action === 'deploy'],
    [{ status: 'failed' }, ({ status }) => status === 'failed'],
    [{ status: ['failed', 'unknown'] }, ({ status }) => status === 'failed' || status === 'unknown'],
    [{ status: 'running' }, ({ status }) => status === 'running'],
    [{ exit_code: 143 }, (past) => past.exit_code === 143],
    [{ exit_code: 0 }, ({ status }) => status === 'success'],
    [{ user: 'alice' }, ({ display }) => display === 'Alice'],
    [{ user: 'ALICE' }, ({ display }) => display === 'Alice'],
    [{ user: ['BOB', 'ci'] }, (past) => past.display === 'bob' || past.os_user === 'ci'],
    [{ host: 'bastion' }, ({ hostname }) => hostname === 'bastion'],
    [{ client: 'ide' }, ({ client }) => client === 'ide'],
    [{ source: 'api' }, ({ source }) => source === 'api'],
    [{ text: 'outage' }, ({ reason }) => reason?.includes('Outage') === true],
    [{ text: '50%_' }, ({ reason }) => reason?.includes('50%_') === true],
    [{ text: 'EXAMPLE.com/acme' }, ({ block }) => block?.includes('example.com/acme') === true],
    [{ text: 'nowhere to be seen' }, () => false],
    [
      { workspace: 'acme/platform', status: 'failed', user: 'bob', block: 'web', exit_code: 2 },
      (past) => past.organization === 'acme' && past.workspace === 'platform' && past.status === 'failed' && past.display === 'bob' && past.block === 'web',
    ],
  ])('%j has the exact total', async (filters, test) => {
    const expected = count(test);
    const { total, returned, runs } = await search({ ...filters, limit: 100 });
    expect({ total, returned, rows: runs.length }).toEqual({ total: expected, returned: expected, rows: expected });
  }); // prettier-ignore

  it('are not all empty here: the story has 48 counted runs, 9 of them failed', async () => {
    expect((await search()).total).toBe(48);
    expect((await search({ status: 'failed' })).total).toBe(9);
    expect((await search({ organization: 'globex' })).total).toBe(5);
  });

  it('come back as they were applied', async () => {
    const { filters } = await search({ user: 'alice', status: 'failed', order: 'oldest' });
    expect(filters).toEqual({ user: ['alice'], status: ['failed'], time_field: 'started', order: 'oldest' });
  });

  it('a row is lean and says who, what, where and how it ended', async () => {
    const { runs } = await search({ text: 'Outage' });
    expect(runs).toEqual([
      {
        id: stored()[OTHERS.length + 12]!.id,
        started_at: '2026-09-04T06:00:00.000Z',
        status: 'success',
        exit_code: 0,
        duration_ms: 40_000,
        workspace: 'shop',
        environment: 'production',
        block: 'cargo.example.com/acme/db',
        block_version: '1.0.0',
        action: 'restart',
        user: 'Alice',
        host: 'laptop-7',
        source: 'ledger',
      },
    ]);
  });
});

describe('what history does not count', () => {
  it('is counted apart, under the same filters', async () => {
    expect((await search()).excluded).toEqual({ never_launched: 3, workflow_parents: 1 });
    expect((await search({ user: 'dora' })).excluded).toEqual({ never_launched: 1, workflow_parents: 0 });
    expect((await search({ user: 'dora' })).total).toBe(0);
  });

  it('is shown on request', async () => {
    const { total, runs } = await search({ include_excluded: true, limit: 100 });
    expect([total, runs.length]).toEqual([52, 52]);
  });
});

describe('pages', () => {
  it.each(['newest', 'oldest', 'longest'])('of all runs, %s first, have no gap and no double', async (order) => {
    const pages: any[] = [];
    let cursor: string | undefined;
    do {
      const page = await search({ order, limit: 7, cursor });
      expect(page.total).toBe(48);
      expect(page.returned).toBe(page.runs.length);
      pages.push(...page.runs);
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
    expect(new Set(pages.map(({ id }) => id)).size).toBe(48);
    expect(pages).toHaveLength(48);
    const keys = pages.map((run) => (order === 'longest' ? (run.duration_ms ?? 0) : Date.parse(run.started_at)));
    expect(keys).toEqual([...keys].sort((a, b) => (order === 'oldest' ? a - b : b - a)));
  });

  it('end exactly at a full last page', async () => {
    const { next_cursor } = await search({ limit: 48 });
    expect(next_cursor).toBeNull();
  });

  it('go on although the interval is relative to now', async () => {
    const first = await search({ since: '3650d', limit: 40 });
    const second = await search({ since: '3650d', limit: 40, cursor: first.next_cursor });
    expect(second.runs).toHaveLength(8);
  });

  it.each([
    ['of another question', async () => (await search({ limit: 5, user: 'alice' })).next_cursor],
    ['that is no cursor', async () => 'bm90IGEgY3Vyc29y'],
    ['that is not base64', async () => '%%%'],
    ['with a position of another kind', async () => forged(await search({ limit: 5 }), 'x')],
    ['with a null position', async () => forged(await search({ limit: 5 }), null)],
    ['with a nested position', async () => forged(await search({ limit: 5 }), [{ $gt: 0 }, 'x'])],
  ])('a cursor %s is refused', async (_, cursor) => {
    const error = await refused({ limit: 5, cursor: await cursor() });
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('cursor') });
    expect(error.next).toContain('without cursor');
  });
}); // prettier-ignore

function forged({ next_cursor }: any, position: unknown): string {
  const [mark] = JSON.parse(Buffer.from(next_cursor, 'base64url').toString());
  return Buffer.from(JSON.stringify([mark, position])).toString('base64url');
}

describe('times', () => {
  const within = (since: string, until: string) => (past: Past) => {
    const started = past.requested_at + (past.delay_ms ?? 0);
    return started >= Date.parse(since) && started < Date.parse(until);
  };

  it.each([
    [{ since: '2026-09-02T06:00:00Z', until: '2026-09-03T06:00:00Z' }, '2026-09-02T06:00Z', '2026-09-03T06:00Z'],
    [{ since: '2026-09-02T08:00:00+02:00', until: '2026-09-02T06:00:01Z' }, '2026-09-02T06:00Z', '2026-09-02T06:00:01Z'],
    [{ since: '2026-09-02T08:00', until: '2026-09-02 14:00' }, '2026-09-02T06:00Z', '2026-09-02T12:00Z'],
    [{ during: '2026-09-03' }, '2026-09-02T22:00Z', '2026-09-03T22:00Z'],
    [{ during: '2026-09-03', timezone: 'UTC' }, '2026-09-03T00:00Z', '2026-09-04T00:00Z'],
    [{ during: '2026-09' }, '2026-08-31T22:00Z', '2026-09-30T22:00Z'],
    [{ during: '2026' }, '2025-12-31T23:00Z', '2026-12-31T23:00Z'],
    [{ since: '2026-09-03' }, '2026-09-02T22:00Z', '2026-09-03T22:00Z'],
    [{ since: '2026-09-03', until: '2026-09-05' }, '2026-09-02T22:00Z', '2026-09-04T22:00Z'],
    [{ since: '2026-09-03', until: '2026-09' , timezone: 'Pacific/Auckland' }, null, null],
  ])('%j', async (args, since, until) => {
    if (since === null) return void expect((await refused(args)).message).toContain('not before');
    const { total, interval } = await search({ ...args, limit: 100 });
    expect(interval).toMatchObject({ since: new Date(since).toISOString(), until: new Date(until).toISOString() });
    expect(total).toBe(count(within(since, until)));
    expect(total).toBeGreaterThan(0);
  }); // prettier-ignore

  it('an interval in since without until sets both and says so', async () => {
    expect((await search({ since: '2026-09-03' })).interval).toMatchObject({
      note: expect.stringContaining('until was set'),
      local: 'Thu 2026-09-03 00:00:00 +02:00 to Fri 2026-09-04 00:00:00 +02:00',
      timezone: 'Europe/Berlin',
    });
  });

  it.each([
    [{ since: '2026-10-25T02:30' }, 'twice', '2026-10-25T02:30:00.000+02:00'],
    [{ until: '2027-03-28T02:30' }, 'does not exist', null],
    [{ since: '2026-09-04', until: '2026-09-03' }, 'not before', null],
    [{ since: '2026-09-04T00:00:00Z', until: '2026-09-04T00:00:00Z' }, 'not before', null],
    [{ during: '2026-09', since: '2026-09-04' }, 'excludes', null],
    [{ since: 'yesteryear' }, 'not understood', null],
    [{ since: '2026-02-30' }, 'no day that exists', null],
    [{ timezone: 'Mars/Olympus' }, 'IANA', null],
  ])('%j is refused with what would be understood', async (args, words, valid) => {
    const error = await refused(args);
    expect(error).toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(words) });
    expect(error.valid.length).toBeGreaterThan(0);
    if (valid) expect(error.valid).toContain(valid);
  });

  it('started, finished, recorded and overlaps look at different times', async () => {
    // The cancelled and the unknown run of nine days before: started at 06:00, ended one second and three hours later.
    const totals = async (since: string, until: string) =>
      Promise.all(
        ['started', 'finished', 'recorded', 'overlaps'].map(
          async (time_field) =>
            (await search({ since: `2026-08-${since}Z`, until: `2026-08-${until}Z`, time_field, user: 'alice' })).total,
        ),
      );
    expect(await totals('23T05:59', '23T06:01')).toEqual([2, 1, 2, 3]);
    expect(await totals('23T07:00', '23T08:00')).toEqual([0, 0, 0, 2]);
    expect(await totals('23T08:59', '23T09:01')).toEqual([0, 1, 0, 2]);
    expect(await totals('23T09:00', '23T09:01')).toEqual([0, 1, 0, 1]);
    expect(await totals('01T00:00', '02T00:00')).toEqual([0, 0, 0, 0]);
    // Requested a minute before it started.
    expect(await recorded('2026-09-01T05:59:00Z')).toEqual([0, 1]);
    expect(await recorded('2026-09-01T06:00:00Z')).toEqual([1, 0]);
  }); // prettier-ignore

  const recorded = (since: string) => {
    const until = new Date(Date.parse(since) + 1_000).toISOString();
    const totals = ['started', 'recorded'].map(async (time_field) => (await search({ since, until, time_field, user: 'alice' })).total);
    return Promise.all(totals);
  }; // prettier-ignore
});

describe('names', () => {
  it.each([
    ['organization', 'acne', 'acme'],
    ['workspace', 'platfrom', 'platform'],
    ['workspace', 'acme/platfrom', 'acme/platform'],
    ['environment', 'produktion', 'production'],
    ['block', 'wep', 'web'],
    ['block_version', '1.2.1', '1.2.0'],
    ['action', 'restrat', 'restart'],
    ['user', 'alicia', 'alice'],
    ['host', 'bastoin', 'bastion'],
    ['client', 'chatt', 'chat'],
    ['from', 'acme/postgers', 'acme/postgres'],
    ['from', 'acme/postgres:2.2', 'acme/postgres:2.1'],
  ])('an unknown %s %s is refused with the closest', async (argument, wrong, right) => {
    const error = await refused({ [argument]: wrong });
    expect(error).toMatchObject({ code: 'unknown_name', message: expect.stringContaining(`"${wrong}"`) });
    expect(error.message).toContain(argument);
    expect(error.valid[0]).toBe(right);
    expect(error.next).toContain(argument);
  });

  it.each([
    { organization: 'initech' },
    { workspace: 'quiet' },
    { workspace: 'initech/quiet' },
    { block: 'silent' },
    { block_version: '3.3.3' },
    { action: 'never-ran' },
  ])('%j exists on disk without a run, which is no typing error', async (args) => {
    expect((await search(args)).total).toBe(0);
  });

  it('one unknown name among known ones is refused', async () => {
    expect((await refused({ user: ['alice', 'alicia'] })).code).toBe('unknown_name');
  });

  it.each([
    [{ status: 'sucess' }, 'success'],
    [{ status: ['failed', 'sucess'] }, 'success'],
    [{ order: 'latest' }, 'oldest'],
    [{ time_field: 'start' }, 'started'],
    [{ source: 'ledgre' }, 'ledger'],
    [{ userr: 'alice' }, 'user'],
  ])('%j is refused with what is valid', async (args, valid) => {
    const error = await refused(args);
    expect(error.code).toBe('invalid_argument');
    expect(error.message).toContain(Object.keys(args)[0]);
    expect(error.valid).toContain(valid);
  });
});

it('says what the answer rests on', async () => {
  const [ledger] = (await search({ limit: 1 })).coverage;
  expect(ledger).toMatchObject({ source: 'ledger', newest: expect.stringMatching(/^2026-09-12T/) });
  expect(ledger.missing).not.toBe('');
});

it('a default answer is below 6,000 tokens, the largest below 20,000', async () => {
  const sizes = await Promise.all(
    [{}, { limit: 100 }].map((args) => server().call('search_action_runs', args)),
  );
  expect(sizes[0]!.characters / 4).toBeLessThan(6_000);
  expect(sizes[1]!.characters / 4).toBeLessThan(20_000);
});
