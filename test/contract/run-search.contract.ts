import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NameColumn, RunFilters, RunHistory, RunOrder, RunQuery } from '../../src/history/search.ts';
import { isOpen, RUN_STATUSES, type ActionRun } from '../../src/runs/action-run.ts';
import { storeRun, type Past } from '../support/fill-ledger.ts';
import type { LedgerKind } from './run-ledger.contract.ts';

// Few values, so that filters hit; some of them differ only in case, accents, wildcards or parts.
const WORDS = ['db', 'DB', 'web', 'a%b', 'a_b', 'axb', 'störung', 'STÖRUNG', 'back\\slash', ''];
const FROM = ['db', 'acme/db', 'reg.example.com/acme/db', 'reg.example.com/acme/db:1.0', 'reg:5000/acme/db:1.0', 'xdb', 'db:1.0', 'db:2', 'reg:5000', 'reg']; // prettier-ignore
const PEOPLE = ['alice', 'Alice', 'bob', 'Özlem', 'özlem'];
const T0 = Date.UTC(2026, 8, 1);

const word = fc.constantFrom(...WORDS);
const DAY = 86_400_000;
// Some at the same time, some days apart and in no order, so that counts of whole slots, borders and late arrivals all occur.
export const minute = fc
  .tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }))
  .map(([day, n]) => T0 + day * DAY + n * 60_000);

export const past: fc.Arbitrary<Past> = fc.record({
  kind: fc.constantFrom('action', 'action', 'action', 'workflow'),
  organization: fc.constantFrom('acme', 'globex', null),
  workspace: fc.constantFrom('shop', 'acme/shop', 'web'),
  environment: fc.constantFrom('production', 'staging', null),
  block: fc.option(word),
  block_version: fc.constantFrom('1.0', '2.0', null),
  app_version: fc.constantFrom('1.0', '15', null),
  block_from: fc.option(fc.constantFrom(...FROM)),
  action: fc.option(word),
  status: fc.constantFrom(...RUN_STATUSES),
  launched: fc.boolean(),
  exit_code: fc.constantFrom(0, 1, 137, null),
  status_reason: fc.option(word),
  display: fc.constantFrom(...PEOPLE),
  os_user: fc.constantFrom('deploy', 'Alice', null),
  hostname: fc.constantFrom('h1', 'H1', null),
  client: fc.constantFrom('ide', 'chat', null),
  source: fc.constantFrom('ledger', 'api'),
  reason: fc.option(word),
  requested_at: minute,
  delay_ms: fc.constantFrom(0, 60_000),
  duration_ms: fc.constantFrom(0, 60_000, 600_000),
});

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const few = <T>(...values: T[]): fc.Arbitrary<T[] | undefined> =>
  maybe(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }));

export const query: fc.Arbitrary<Omit<RunQuery, 'after'>> = fc.record({
  filters: fc
    .record({
      organization: few('acme', 'globex'),
      workspace: few('shop', 'acme/shop', 'acme/acme/shop', '-/web', 'web'),
      environment: few('production', 'staging'),
      block: few(...WORDS),
      from: maybe(fc.constantFrom(...FROM)),
      block_version: maybe(fc.constantFrom('1.0', '15', '2.0')),
      action: few(...WORDS),
      status: few(...RUN_STATUSES),
      exit_code: few(0, 1, 137),
      user: few(...PEOPLE, 'deploy', 'nobody'),
      host: few('h1', 'H1'),
      client: maybe(fc.constantFrom('ide', 'chat')),
      source: maybe(fc.constantFrom('ledger', 'api')),
      text: maybe(fc.constantFrom('db', 'B', '%', '_', '\\', 'störung', 'ÖR', 'tör', 'hop')),
      since: fc.option(minute, { freq: 2 }),
      until: fc.option(minute, { freq: 2 }),
      time_field: fc.constantFrom('started', 'finished', 'overlaps', 'recorded'),
    })
    .map(({ since, until, time_field, ...names }) => {
      const given = Object.fromEntries(Object.entries(names).filter(([, value]) => value !== undefined));
      return { ...given, time_field, span: { since, until } };
    }),
  include_excluded: fc.boolean(),
  order: fc.constantFrom<RunOrder>('newest', 'oldest', 'longest'),
  limit: fc.integer({ min: 1, max: 9 }),
}); // prettier-ignore

/** Runs of few kinds at few times. */
const alike: fc.Arbitrary<Past> = past.chain((run) =>
  fc.record({
    workspace: fc.constantFrom('shop', 'web'),
    block: fc.constantFrom('db', 'db', 'web', null),
    block_version: fc.constantFrom('1.0', '2.0'),
    action: fc.constantFrom('install', 'status'),
    environment: fc.constantFrom('production', 'staging'),
    reason: fc.constantFrom('ticket 1', 'ticket 12', 'nightly web', null),
  }).map((narrow) => ({ ...run, organization: 'acme', kind: 'action', launched: run.exit_code !== 137, ...narrow })),
); // prettier-ignore

/** What units of versions can answer, and words. */
const aboutVersions: fc.Arbitrary<Omit<RunQuery, 'after'>> = fc.record({
  filters: fc
    .record({
      workspace: few('shop', 'web'),
      block: fc.option(fc.constantFrom(['db'], ['web'], ['db', 'web']), { nil: undefined }),
      block_version: maybe(fc.constantFrom('1.0', '2.0')),
      action: fc.option(fc.constantFrom(['install'], ['status']), { nil: undefined }),
      environment: few('production', 'staging'),
      status: few(...RUN_STATUSES),
      text: maybe(fc.constantFrom('ticket 1', 'TICKET', 'nightly', 'nothing like it')),
      span: fc.constantFrom({ since: null, until: null }, { since: T0 + 60_000, until: T0 + 2 * DAY }),
    })
    .map(({ span, ...names }) => {
      const given = Object.fromEntries(Object.entries(names).filter(([, value]) => value !== undefined));
      return { ...given, time_field: 'started' as const, span };
    }),
  include_excluded: fc.constantFrom(false, false, true),
  order: fc.constantFrom<RunOrder>('newest', 'oldest'),
  limit: fc.integer({ min: 1, max: 5 }),
});

/** The same questions, answered by looking at every record: slow, plain, and independent of any SQL. */
export function matches(run: ActionRun, filters: RunFilters): boolean {
  const among = <T>(wanted: readonly T[] | undefined, ...values: (T | null | undefined)[]): boolean =>
    !wanted || values.some((value) => value !== null && value !== undefined && wanted.includes(value));
  const lower = (texts: (string | null | undefined)[]): string[] => texts.flatMap((text) => (text ? [text.toLowerCase()] : []));
  const start = run.started_at ?? run.requested_at;
  const { since, until } = filters.span;
  const within = (time: number | null): boolean =>
    (since === null && until === null) || (time !== null && (since === null || time >= since) && (until === null || time < until));
  const inTime = {
    started: within(start),
    recorded: within(run.requested_at),
    finished: within(run.finished_at),
    overlaps: (until === null || start < until) && (since === null || (run.finished_at === null ? isOpen(run) || start >= since : run.finished_at > since)),
  }[filters.time_field];
  return (
    inTime &&
    among(filters.organization, run.organization) &&
    among(filters.workspace, run.workspace, `${run.organization ?? '-'}/${run.workspace}`) &&
    among(filters.environment, run.environment?.value) &&
    among(filters.block, run.block) &&
    among(filters.action, run.action) &&
    among(filters.status, run.status) &&
    among(filters.exit_code, run.exit_code) &&
    among(filters.host, run.hostname) &&
    among(filters.client === undefined ? undefined : [filters.client], run.client?.name) &&
    among(filters.source === undefined ? undefined : [filters.source], run.source) &&
    among(filters.block_version === undefined ? undefined : [filters.block_version], run.block_version, run.app_version) &&
    among(filters.user?.map((user) => user.toLowerCase()), ...lower([run.os_user, run.principal?.display, run.principal?.subject])) &&
    (filters.from === undefined || madeFrom(run.block_from, filters.from)) &&
    (filters.text === undefined ||
      lower([run.reason, run.block, run.action, run.workspace, run.status_reason]).some((text) => text.includes(filters.text!.toLowerCase())))
  );
} // prettier-ignore

function madeFrom(reference: string | null, wanted: string): boolean {
  if (reference === null) return false;
  const parts = reference.split('/');
  const suffixes = parts.map((_, first) => parts.slice(first).join('/'));
  return suffixes.some((suffix) => suffix === wanted || suffix.replace(/:[^:/]*$/, '') === wanted);
}

export const isCounted = (run: ActionRun): boolean => run.launched && run.kind === 'action';

/** Searching over random histories agrees with a reading of every record. */
export function searchContract(kind: LedgerKind): void {
  describe(`searching on ${kind.name}`, () => {
    const agreeing = (histories: fc.Arbitrary<Past[]>, questions: fc.Arbitrary<Omit<RunQuery, 'after'>[]>) =>
      fc.asyncProperty(histories, questions, async (history, queries) => {
        const place = await kind.place();
        const connected = kind.connect(place.at);
        try {
          const runs: ActionRun[] = [];
          for (const one of history) runs.push(await storeRun(connected, one));
          for (const one of queries) await compare(connected.history.search, runs, one);
        } finally {
          await connected.close();
          await place.remove();
        }
      });

    it('gives what a reading of every record gives: total, excluded, order, pages', async () => {
      const histories = fc.array(past, { minLength: 5, maxLength: 40 });
      const questions = fc.array(query, { minLength: 30, maxLength: 30 });
      // Shrinking a counterexample stops in time to be reported.
      await fc.assert(agreeing(histories, questions), { numRuns: 15, interruptAfterTimeLimit: 20_000 });
    });

    it('gives the same pages where many runs are alike and began at the same time, by their versions or their words', async () => {
      const histories = fc.array(alike, { minLength: 25, maxLength: 40 });
      const questions = fc.array(aboutVersions, { minLength: 60, maxLength: 60 });
      await fc.assert(agreeing(histories, questions), { numRuns: 6, interruptAfterTimeLimit: 20_000 });
    });

    it('goes on to the last page where runs are at the very border of a day', async () => {
      const DAY = 24 * 3_600_000;
      const place = await kind.place();
      const connected = kind.connect(place.at);
      try {
        for (const day of [0, 1, 2, 3]) {
          const begins = Date.UTC(2026, 7, 1 + day);
          await storeRun(connected, { requested_at: begins, display: 'ada' });
          await storeRun(connected, { requested_at: begins + DAY - 1, display: 'bob' });
        }
        for (const [order, user] of [['oldest', 'ada'], ['newest', 'bob']] as const) {
          const seen: string[] = [];
          for (let after: RunQuery['after'] = null, more = true; more; ) {
            const filters = { span: { since: null, until: null }, time_field: 'started' } as const;
            const page = await connected.history.search({ filters: { ...filters, user: [user] }, include_excluded: true, order, limit: 1, after });
            seen.push(...page.runs.map(({ id }) => id));
            [after, more] = [page.next, page.next !== null];
          }
          expect(new Set(seen).size, order).toBe(4);
        }
      } finally {
        await connected.close();
        await place.remove();
      }
    }); // prettier-ignore

    it('knows a name by all of it, whatever is in it, and not by a part', async () => {
      const odd = ['plain', 'a/b/c', 'say "hi"', 'dom\\alice', 'ünï', '😀/x', '"', 'a,b'];
      const place = await kind.place();
      const connected = kind.connect(place.at);
      const absentOf = (column: NameColumn, names: readonly string[]): Promise<string[]> =>
        connected.history.missing(names.map((name) => ({ column, name }))).then((absent) => absent.map(({ name }) => name));
      try {
        for (const [n, name] of odd.entries()) {
          await storeRun(connected, { requested_at: Date.UTC(2026, 8, 1) + n, workspace: name, organization: n % 2 ? 'acme' : null, display: name, block_version: name });
        }
        expect(await absentOf('workspace', odd)).toEqual([]);
        expect(await absentOf('workspace', odd.map((name, n) => `${n % 2 ? 'acme' : '-'}/${name}`))).toEqual([]);
        expect(await absentOf('user', odd.map((name) => name.toUpperCase()))).toEqual([]);
        expect(await absentOf('block_version', odd)).toEqual([]);
        const parts = ['lain', 'c', 'b/c', 'hi"', 'alice', 'x', 'b', 'acme/plain'];
        for (const column of ['workspace', 'user', 'block_version'] as const) expect(await absentOf(column, parts)).toEqual(parts);
      } finally {
        await connected.close();
        await place.remove();
      }
    }); // prettier-ignore
  });
}

const scope = fc.uniqueArray(
  fc.constantFrom('acme', 'globex', '-', 'globex/shop', 'acme/acme/shop', '-/web', 'other'),
  { maxLength: 3 },
);

/** What a scope sees is as if nothing else were there. */
export function scopeContract(kind: LedgerKind): void {
  describe(`what exists for a scope on ${kind.name}`, () => {
    it('is what a reading of the records in it gives: runs, counts, names, ids, extent', async () => {
      const histories = fc.array(past, { minLength: 5, maxLength: 40 });
      const questions = fc.array(fc.tuple(query, scope), { minLength: 12, maxLength: 12 });
      await fc.assert(
        fc.asyncProperty(histories, questions, async (history, queries) => {
          const place = await kind.place();
          const connected = kind.connect(place.at);
          try {
            const runs: ActionRun[] = [];
            for (const one of history) {
              runs.push(await storeRun(connected, { ...one, ...(runs.length % 3 === 1 && { retrigger_of: runs[0]!.id }) }));
            }
            for (const [one, seen] of queries) await compareWithin(connected.history, { runs, one, seen });
          } finally {
            await connected.close();
            await place.remove();
          }
        }),
        { numRuns: 5, interruptAfterTimeLimit: 20_000 },
      );
    });
  });
} // prettier-ignore

async function compareWithin(
  history: RunHistory,
  { runs, one, seen }: { runs: readonly ActionRun[]; one: Omit<RunQuery, 'after'>; seen: string[] },
): Promise<void> {
  const inside = runs.filter(({ organization, workspace }) => {
    return seen.some((entry) => entry === (organization ?? '-') || entry === `${organization ?? '-'}/${workspace}`);
  });
  await compare((question) => history.search(question, seen), inside, one);
  const namesOf = (read: (run: ActionRun) => string | null | undefined): string[] =>
    [...new Set(inside.flatMap((run) => read(run) ?? []))].filter((name) => name !== '').sort();
  const why = JSON.stringify(seen);
  const columns = {
    organization: namesOf((run) => run.organization),
    workspace: namesOf((run) => run.workspace),
    environment: namesOf((run) => run.environment?.value),
    block: namesOf((run) => run.block),
    action: namesOf((run) => run.action),
    host: namesOf((run) => run.hostname),
    client: namesOf((run) => run.client?.name),
    origin: namesOf((run) => run.block_from),
  };
  for (const [column, expected] of Object.entries(columns) as [NameColumn, string[]][]) {
    const names = (await history.names(column, 100, seen)).filter((name) => name !== '');
    expect(names, `${column} of ${why}`).toEqual(expected);
    const all = (await history.names(column, 100)).filter((name) => name !== '');
    const absent = await history.missing(all.map((name) => ({ column, name })), seen);
    // A workspace may be named by its address, which may be another one's name.
    const known = column === 'workspace' ? [...expected, ...namesOf((run) => `${run.organization ?? '-'}/${run.workspace}`)] : expected;
    expect(absent.map(({ name }) => name), `${column} of ${why}`).toEqual(all.filter((name) => !known.includes(name)));
  }
  const ids = await history.ids('0', 100, seen);
  expect([...ids].sort(), why).toEqual(inside.map(({ id }) => id).sort());
  const [first] = inside;
  expect(await history.ids(first?.id ?? '0', 2, seen)).toEqual(first ? [first.id] : []);
  expect(await history.retriggersOf(runs[0]!.id, 50, seen)).toEqual(inside.filter((run) => run.retrigger_of !== null).map(({ id }) => id).sort());
  const starts = inside.map((run) => run.started_at ?? run.requested_at);
  expect(await history.extent(seen)).toEqual(starts.length === 0 ? null : { oldest: Math.min(...starts), newest: Math.max(...starts) });
  const page = { filters: one.filters, group_by: ['block'], slices: null, order: 'key', skip: 0, limit: 100 } as const;
  const found = inside.filter((run) => matches(run, one.filters) && isCounted(run));
  const { total_runs, groups } = await history.summarize(page, seen);
  expect({ total_runs, blocks: groups.length }, why).toEqual({
    total_runs: found.length,
    blocks: new Set(found.map((run) => run.block)).size,
  });
} // prettier-ignore

async function compare(
  search: (query: RunQuery) => Promise<any>,
  runs: readonly ActionRun[],
  question: Omit<RunQuery, 'after'>,
): Promise<void> {
  const found = runs.filter((run) => matches(run, question.filters));
  const counted = question.include_excluded ? found : found.filter(isCounted);
  const excluded = {
    never_launched: found.filter((run) => run.kind === 'action' && !run.launched).length,
    workflow_parents: found.filter((run) => run.kind === 'workflow').length,
  };
  const ids: string[] = [];
  let after: RunQuery['after'] = null;
  do {
    const page = await search({ ...question, after });
    expect({ total: page.total, excluded: page.excluded }, JSON.stringify(question)).toEqual({ total: counted.length, excluded });
    expect(page.runs.length).toBeLessThanOrEqual(question.limit);
    ids.push(...page.runs.map(({ id }: ActionRun) => id));
    after = page.next;
  } while (after !== null);
  expect(ids, JSON.stringify(question)).toEqual(sorted(counted, question.order).map(({ id }) => id));
} // prettier-ignore

function sorted(runs: readonly ActionRun[], order: RunOrder): ActionRun[] {
  const value = (run: ActionRun): number => (order === 'longest' ? (run.duration_ms ?? 0) : (run.started_at ?? run.requested_at)); // prettier-ignore
  const ascending = [...runs].sort((a, b) => value(a) - value(b) || (a.id < b.id ? -1 : 1));
  return order === 'oldest' ? ascending : ascending.reverse();
}
