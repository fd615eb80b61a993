import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunFilters, RunOrder, RunQuery } from '../../src/history/search.ts';
import { RUN_STATUSES, type ActionRun } from '../../src/runs/action-run.ts';
import { storeRun, type Past } from '../support/fill-ledger.ts';
import type { LedgerKind } from './run-ledger.contract.ts';

// Few values, so that filters hit; some of them differ only in case, accents, wildcards or parts.
const WORDS = ['db', 'DB', 'web', 'a%b', 'a_b', 'axb', 'störung', 'STÖRUNG', 'back\\slash', ''];
const FROM = ['db', 'acme/db', 'reg.example.com/acme/db', 'reg.example.com/acme/db:1.0', 'reg:5000/acme/db:1.0', 'xdb', 'db:1.0', 'db:2', 'reg:5000', 'reg']; // prettier-ignore
const PEOPLE = ['alice', 'Alice', 'bob', 'Özlem', 'özlem'];
const T0 = Date.UTC(2026, 8, 1);

const word = fc.constantFrom(...WORDS);
const minute = fc.integer({ min: 0, max: 20 }).map((n) => T0 + n * 60_000);

const past: fc.Arbitrary<Past> = fc.record({
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

const query: fc.Arbitrary<Omit<RunQuery, 'after'>> = fc.record({
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

/** The same questions, answered by looking at every record: slow, plain, and independent of any SQL. */
function matches(run: ActionRun, filters: RunFilters): boolean {
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
    overlaps: (until === null || start < until) && (since === null || run.finished_at === null || run.finished_at > since),
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

const isCounted = (run: ActionRun): boolean => run.launched && run.kind === 'action';

/** Searching over random histories agrees with a reading of every record. */
export function searchContract(kind: LedgerKind): void {
  describe(`searching on ${kind.name}`, () => {
    it('gives what a reading of every record gives: total, excluded, order, pages', async () => {
      const histories = fc.array(past, { minLength: 5, maxLength: 40 });
      const questions = fc.array(query, { minLength: 30, maxLength: 30 });
      await fc.assert(
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
        }),
        // Shrinking a counterexample stops in time to be reported.
        { numRuns: 15, interruptAfterTimeLimit: 40_000 },
      );
    });
  });
}

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
