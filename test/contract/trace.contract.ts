import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sees, type Scope } from '../../src/access/identity.ts';
import type { Around } from '../../src/history/changes.ts';
import {
  compareVersions,
  MOST_RETURNS,
  type CurrentVersion,
  type TraceQuery,
  type TracedVersion,
} from '../../src/history/versions.ts';
import { isOpen, type ActionRun } from '../../src/runs/action-run.ts';
import { storeRun, type Past } from '../support/fill-ledger.ts';
import { pruneBefore, type PruningPlace } from './ledger-prune.contract.ts';

const WHOLE = { from: null, known: [] };
const START = Date.UTC(2026, 5, 1);
const HOUR = 3_600_000;
const BY = { principal: { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } };

/** In any order of arrival; each at an hour of its own, so that no two are at the same instant. */
const history: fc.Arbitrary<Past[]> = fc.uniqueArray(
  fc.record({
    hour: fc.integer({ min: 0, max: 4_000 }),
    workspace: fc.constantFrom('shop', 'data'),
    organization: fc.constantFrom('acme', 'globex'),
    block: fc.constantFrom('web', 'db'),
    block_version: fc.constantFrom('1.9.0', '1.10.0', '1.10.0-rc1', null),
    app_version: fc.constantFrom('2026.1', null, null),
    environment: fc.constantFrom('production', 'staging'),
    action: fc.constantFrom('install', 'status'),
    status: fc.constantFrom('success' as const, 'success' as const, 'success' as const, 'failed' as const, 'cancelled' as const, 'unknown' as const, 'running' as const),
    launched: fc.constantFrom(true, true, true, true, false),
    hostname: fc.constantFrom('h1', 'h2'),
    duration_ms: fc.constantFrom(1_000, 3 * HOUR, 9 * 24 * HOUR),
  }),
  { selector: ({ hour }) => hour, minLength: 10, maxLength: 60 },
).map((runs) => runs.map(({ hour, ...run }) => ({ ...run, requested_at: START + hour * HOUR, supervised: false, display: 'alice' }))); // prettier-ignore

const some = <T extends string>(...values: T[]): fc.Arbitrary<T[] | undefined> => fc.option(fc.constantFrom(...values.map((value) => [value])), { nil: undefined }); // prettier-ignore

/** Whose question it is: most see everything, the others what exists for them. */
const asker: fc.Arbitrary<Scope> = fc.constantFrom(
  null,
  null,
  ['acme'],
  ['globex/data', 'acme/shop'],
  ['nobody'],
);

const question = fc.record({
  scope: asker,
  filters: fc
    .record({
      organization: some('acme'),
      workspace: some('shop', 'globex/data'),
      environment: some('production'),
      block: some('web'),
      block_version: fc.option(fc.constantFrom('1.10.0', '2026.1'), { nil: undefined }),
      action: some('install'),
    })
    .map((filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value)) as TraceQuery['filters']),
  span: fc.constantFrom({ since: null, until: null }, { since: START + 1_000 * HOUR, until: START + 2_000 * HOUR }),
}); // prettier-ignore

const moment = fc.record({
  scope: asker,
  at: fc.integer({ min: 0, max: 4_000 }).map((hour) => START + hour * HOUR + HOUR / 2),
  before: fc.constantFrom(24, 200, 2_000),
  after: fc.constantFrom(0, 48),
  environment: some('production'),
  workspace: some('acme/shop', 'data'),
  block: some('db'),
  host: some('h1'),
});

/** Traces and changes agree with a reading of every record. */
export function traceContract(name: string, open: () => Promise<PruningPlace>): void {
  describe(`tracing on ${name}`, () => {
    it('finds what a reading of every record finds, after late arrivals, erasing and pruning', async () => {
      await fc.assert(
        fc.asyncProperty(
          history,
          fc.array(question, { minLength: 12, maxLength: 12 }),
          fc.array(moment, { minLength: 12, maxLength: 12 }),
          fc.boolean(),
          async (past, questions, moments, upheaval) => {
            const place = await open();
            try {
              const runs = await store(place, past, upheaval);
              // The oracle of a scope knows its runs and no others.
              for (const one of questions) await compareTrace(place, seenBy(one.scope, runs), one);
              for (const one of moments) await compareChanges(place, seenBy(one.scope, runs), one);
              expect((await place.records.check.verify(WHOLE)).findings).toEqual([]);
            } finally {
              await place.remove();
            }
          },
        ),
        { numRuns: 12, interruptAfterTimeLimit: 25_000 },
      );
    });
  });
}

async function store(place: PruningPlace, past: readonly Past[], upheaval: boolean): Promise<ActionRun[]> {
  const { ledger, upkeep } = place.records;
  const ids: string[] = [];
  for (const one of past) ids.push((await storeRun(place.records, one)).id);
  if (upheaval) {
    await upkeep.erase({ subject: 'alice', logs: false, at: Date.UTC(2026, 11, 1), by: BY });
    await pruneBefore(place, past[Math.floor(past.length / 3)]!.requested_at);
  }
  const found = await Promise.all(ids.map((id) => ledger.find(id)));
  return found.filter((run) => run !== null).filter(({ launched }) => launched);
}

const seenBy = (scope: Scope, runs: readonly ActionRun[]): ActionRun[] =>
  runs.filter((run) => sees(scope, run));
const startOf = (run: ActionRun): number => run.started_at ?? run.requested_at;
const spotOf = (run: ActionRun): string => JSON.stringify([run.organization, run.workspace, run.block]);
const versionOf = (run: ActionRun): string => JSON.stringify([run.block_version, run.app_version]);
const named = (one: { version: string | null; app_version: string | null } | null): string | null => one && JSON.stringify([one.version, one.app_version]); // prettier-ignore

function within(filters: TraceQuery['filters'], run: ActionRun): boolean {
  const { organization, workspace, environment, block, block_version } = filters;
  return (
    (organization?.includes(run.organization!) ?? true) &&
    (workspace?.some((name) => [run.workspace, `${run.organization}/${run.workspace}`].includes(name)) ??
      true) &&
    (environment?.includes(run.environment?.value ?? '') ?? true) &&
    (block?.includes(run.block!) ?? true) &&
    (block_version === undefined || [run.block_version, run.app_version].includes(block_version))
  );
}

async function compareTrace({ records }: PruningPlace, runs: readonly ActionRun[], { filters, span, scope }: Pick<TraceQuery, 'filters' | 'span'> & { scope: Scope }): Promise<void> {
  const anywhere = runs.filter(({ action }) => filters.action?.includes(action!) ?? true).sort((a, b) => startOf(a) - startOf(b));
  // What is told of other versions is of the environment that is asked for.
  const all = anywhere.filter((run) => filters.environment?.includes(run.environment?.value ?? '') ?? true);
  const asked = new Map<string, ActionRun[]>();
  for (const run of all.filter((one) => within(filters, one))) {
    const key = spotOf(run) + versionOf(run);
    asked.set(key, [...(asked.get(key) ?? []), run]);
  }
  const inSpan = (run: ActionRun): boolean => (span.since ?? -Infinity) <= startOf(run) && startOf(run) < (span.until ?? Infinity);
  const right = [...asked.values()].filter((own) => own.some(inSpan)).map((own) => traced(own, all));
  right.sort((a, b) => b.at - a.at);
  const got: TracedVersion[] = [];
  let current: unknown[] = [];
  for (let skip: number | null = 0; skip !== null;) {
    const page = await records.history.trace({ filters, span, skip, limit: 5 }, scope);
    expect(page.total, JSON.stringify(filters)).toBe(right.length);
    got.push(...page.timeline);
    current = page.current.map((one) => [JSON.stringify([one.organization, one.workspace, one.block]), named(one), one.last]);
    for (const one of page.current) compareBehind(anywhere, one);
    skip = page.next;
  }
  const told = got.map((one) => ({
    first: one.first?.id ?? null,
    last: one.last?.id ?? null,
    replaced: named(one.replaced),
    failed_before: one.failed_before,
    first_failed: one.first_failed?.id ?? null,
    returns: one.returns.map(({ run, replaced }) => [run.id, named(replaced)]),
    more_returns: one.more_returns,
  }));
  expect(told, JSON.stringify({ filters, span })).toEqual(right.map(({ at: _, ...one }) => one));
  const spots = new Set([...asked.values()].filter((own) => own.some(inSpan)).map((own) => spotOf(own[0]!)));
  const latest = [...spots].sort().flatMap((spot) => {
    const last = successes(all, spot).at(-1);
    return last ? [[spot, versionOf(last), startOf(last)]] : [];
  });
  expect(current, JSON.stringify({ filters, span })).toEqual(latest);
} // prettier-ignore

/** The highest version that succeeded in the organization, and that it did where it is said to have. */
function compareBehind(all: readonly ActionRun[], { organization, block, version, behind }: CurrentVersion): void {
  const good = all.filter((run) => run.status === 'success' && run.organization === organization && run.block === block);
  const higher = good.filter((run) => version !== null && run.block_version !== null && compareVersions(run.block_version, version) > 0);
  higher.sort((a, b) => compareVersions(b.block_version!, a.block_version!));
  expect(behind?.version ?? null).toBe(higher[0]?.block_version ?? null);
  if (behind) expect(good.some((run) => run.workspace === behind.workspace && versionOf(run) === named(behind))).toBe(true);
} // prettier-ignore

const successes = (runs: readonly ActionRun[], spot: string): ActionRun[] =>
  runs.filter((one) => one.status === 'success' && spotOf(one) === spot);

function traced(
  own: readonly ActionRun[],
  all: readonly ActionRun[],
): Record<string, unknown> & { at: number } {
  const [spot, version] = [spotOf(own[0]!), versionOf(own[0]!)];
  const good = own.filter(({ status }) => status === 'success');
  const rest = successes(all, spot).filter((one) => versionOf(one) !== version);
  const first = good[0] ?? null;
  const before = rest.filter((one) => first && startOf(one) < startOf(first)).at(-1);
  const failed = own.filter((one) => one.status === 'failed' && (!first || startOf(one) < startOf(first)));
  const both = [...good, ...rest].sort((a, b) => startOf(a) - startOf(b));
  const returns = both.flatMap((one, n) => {
    const previous = both[n - 1];
    const back = good.includes(one) && one !== first && previous && rest.includes(previous);
    return back ? [[one.id, versionOf(previous)]] : [];
  });
  return {
    at: startOf(first ?? own[0]!),
    first: first?.id ?? null,
    last: good.at(-1)?.id ?? null,
    replaced: before ? versionOf(before) : null,
    failed_before: failed.length,
    first_failed: failed[0]?.id ?? null,
    returns: returns.reverse().slice(0, MOST_RETURNS),
    more_returns: returns.length > MOST_RETURNS,
  };
}

interface Moment {
  scope: Scope;
  at: number;
  before: number;
  after: number;
  environment: string[] | undefined;
  workspace: string[] | undefined;
  block: string[] | undefined;
  host: string[] | undefined;
}

async function compareChanges({ records }: PruningPlace, runs: readonly ActionRun[], one: Moment): Promise<void> {
  const { at, before, after, environment, workspace, block, host } = one;
  const [since, until] = [at - before * HOUR, at + after * HOUR + 1];
  const distance = (run: ActionRun): number =>
    startOf(run) > at ? startOf(run) - at : run.finished_at !== null && run.finished_at <= at ? run.finished_at - at : 0;
  const same = (run: ActionRun): Record<string, boolean> => ({
    workspace: workspace?.some((name) => [run.workspace, `${run.organization}/${run.workspace}`].includes(name)) ?? false,
    host: run.hostname !== undefined && (host?.includes(run.hostname ?? '') ?? false),
    block: block?.includes(run.block!) ?? false,
  });
  const weight = (run: ActionRun): number => {
    const { workspace, host, block } = same(run);
    return (workspace ? 8 : 0) + (host ? 5 : 0) + (block ? 4 : 0);
  };
  const right = runs
    .filter((run) => startOf(run) < until && (startOf(run) >= since || (run.finished_at === null ? isOpen(run) : run.finished_at > since)))
    .filter((run) => environment?.includes(run.environment?.value ?? '') ?? true)
    .sort((a, b) => weight(b) - weight(a) || Math.abs(distance(a)) - Math.abs(distance(b)) || startOf(b) - startOf(a));
  const near = { workspace, block, host };
  const query: Omit<Around, 'skip' | 'limit'> = { at, since, until, environment, near };
  const got = [];
  for (let skip: number | null = 0; skip !== null;) {
    const page = await records.history.around({ ...query, skip, limit: 7 }, one.scope);
    expect(page).toMatchObject({ total: right.length, in_scope: right.filter((run) => weight(run) > 0).length });
    got.push(...page.changes);
    skip = page.next;
  }
  const previous = (run: ActionRun): ActionRun | undefined =>
    runs.filter((other) => spotOf(other) === spotOf(run) && startOf(other) < startOf(run)).sort((a, b) => startOf(a) - startOf(b)).at(-1);
  expect(got.map(({ run, same, distance_ms, previous }) => [run.id, [...same].sort(), distance_ms, previous?.id])).toEqual(
    right.map((run) => [
      run.id, Object.entries(same(run)).flatMap(([name, is]) => (is ? [name] : [])).sort(), distance(run), previous(run)?.id,
    ]),
  );
} // prettier-ignore
