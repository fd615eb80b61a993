import fc from 'fast-check';
import { DateTime } from 'luxon';
import { describe, expect, it } from 'vitest';
import { summarize, type SummaryRequest } from '../../src/history/summarize.ts';
import {
  GROUP_KEYS,
  NAME_GROUPS,
  TIME_GROUPS,
  type GroupKey,
  type RunGroup,
} from '../../src/history/summary.ts';
import type { ActionRun } from '../../src/runs/action-run.ts';
import { intentFor, storeRun } from '../support/fill-ledger.ts';
import { pruneBefore, type PruningPlace } from './ledger-prune.contract.ts';
import { blankRecord } from '../../src/ledger/mirrored-run.ts';
import type { ForeignRun, ForeignSource } from '../../src/ledger/mirror.ts';
import { isCounted, matches, minute, past, query } from './run-search.contract.ts';

const WHOLE = { from: null, known: [] };
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'] as const;
const BY = { principal: { kind: 'os', issuer: 'h', subject: '0:root', display: 'root' } };

const groups: fc.Arbitrary<GroupKey[]> = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom(...NAME_GROUPS), { maxLength: 3 }),
    fc.option(fc.constantFrom(...TIME_GROUPS)),
    fc.boolean(),
  )
  .map(([names, time, ahead]) => (time ? (ahead ? [time, ...names] : [...names, time]) : names));

const question = fc.record({
  filters: query.map(({ filters }) => filters),
  group_by: groups,
  timezone: fc.constantFrom(...ZONES),
  order: fc.constantFrom('runs' as const, 'key' as const),
});

const SOURCES: [ForeignSource, string][] = [['api', 'main'], ['api', 'other'], ['logs', 'acme/shop']]; // prettier-ignore
const SHARED = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

/** What a source says of a run. Few ids, so that rows change, share ids among sources, and turn two runs into one. */
const told = fc.record({
  of: past,
  id: fc.constantFrom('1', '2', '3', ...SHARED),
  shared: fc.uniqueArray(fc.constantFrom(...SHARED), { maxLength: 2 }),
  /** Which of our own runs it claims to be, if any. */
  own: fc.option(fc.nat(5)),
});
const toldPage = fc.record({
  from: fc.constantFrom(...SOURCES),
  rows: fc.array(told, { minLength: 1, maxLength: 6 }),
  at: minute,
});
type ToldPage = Parameters<Parameters<(typeof toldPage)['map']>[0]>[0];

/** What may happen to a ledger behind its runs. */
const upheaval = fc.constantFrom('nothing', 'erasure', 'pruning', 'both');

/** Summaries agree with a reading of every record, whatever happened to the ledger. */
export function summaryContract(name: string, open: () => Promise<PruningPlace>): void {
  describe(`summing up on ${name}`, () => {
    it('gives what a reading of every record gives, after late arrivals, late ends, mirroring, erasing and pruning', async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(past, { minLength: 5, maxLength: 30 }),
          fc.array(toldPage, { maxLength: 6 }),
          fc.array(question, { minLength: 25, maxLength: 25 }),
          upheaval,
          async (history, pages, questions, what) => {
            const place = await open();
            try {
              const runs = await storeAll(place, { history, pages, what });
              for (const one of questions) await compare(place, runs, one);
              expect((await place.records.check.verify(WHOLE)).findings).toEqual([]);
            } finally {
              await place.remove();
            }
          },
        ),
        { numRuns: 14, interruptAfterTimeLimit: 25_000 },
      );
    });
  });
}

interface Story {
  history: Parameters<typeof storeRun>[1][];
  pages: ToldPage[];
  what: string;
}

async function storeAll(place: PruningPlace, { history, pages, what }: Story): Promise<ActionRun[]> {
  const { records } = place;
  const ids: string[] = [];
  const mirror = async (some: ToldPage[]): Promise<void> => {
    for (const page of some) ids.push(...(await storePage(place, page, ids)));
  };
  const open: string[] = [];
  const [half, third] = [Math.floor(history.length / 2), Math.floor(pages.length / 3)];
  for (const [n, one] of history.entries()) {
    if (n === half) await mirror(pages.slice(0, third));
    const { id, status, launched } = await storeRun(records, { ...one, supervised: false });
    ids.push(id);
    if (status === 'running' && launched) open.push(id);
  }
  await mirror(pages.slice(third, 2 * third));
  // Ends that come when their hour is long counted; one run stays open.
  for (const id of open.slice(1)) {
    const run = (await records.ledger.find(id))!;
    const at = run.started_at! + 90_000;
    const facts = { status: 'failed', exit_code: 3, finished_at: at, duration_ms: 90_000, status_reason: 'late' };
    await records.ledger.append({ kind: 'run_finished', run_id: id, at, facts, private: {} });
  }
  if (what === 'erasure' || what === 'both') {
    await records.upkeep.erase({ subject: 'alice', logs: false, at: Date.UTC(2026, 9, 1), by: BY });
  }
  if (what === 'pruning' || what === 'both') {
    // By the order of arrival: pruning takes out a beginning of the chain, in which any time can be.
    await pruneBefore(place, history[Math.floor(history.length / 2)]!.requested_at);
  }
  await mirror(pages.slice(2 * third));
  const later = intentFor({ requested_at: Date.UTC(2026, 9, 2), reason: 'one more', environment: 'production' });
  await records.ledger.request(later);
  const found = await Promise.all([...ids, later.event.run_id].map((id) => records.ledger.find(id)));
  // An id of a run that turned out to be another one finds that one.
  return [...new Map(found.flatMap((run) => (run ? [[run.id, run] as const] : []))).values()];
} // prettier-ignore

async function storePage({ records }: PruningPlace, { from: [source, endpoint], rows, at }: ToldPage, ids: readonly string[]): Promise<string[]> {
  const told: ForeignRun[] = [];
  for (const { of, id, shared, own } of rows) {
    const claimed = own === null ? null : await records.ledger.find(ids[own % ids.length]!);
    const known = [...shared, ...(claimed ? [claimed.id] : [])].filter((other) => other !== id);
    const identifiers = known.map((other) => ({ source: 'cli', endpoint: null, id: other }));
    told.push({ id, identifiers, record: recordOf(of, claimed) });
  }
  return (await records.mirror.storePage({ source, endpoint, at, rows: told })).run_ids;
} // prettier-ignore

/** Rows that share an id must be of one action to be one run. */
function recordOf(of: Parameters<typeof storeRun>[1], claimed: ActionRun | null): ForeignRun['record'] {
  const { requested_at, display, client, environment, kind = 'action', launched = true } = of;
  const { organization = null, workspace = '', block = null, action = null } = claimed ?? { organization: 'acme', workspace: 'shop', block: 'db', action: 'web' };
  const started_at = launched ? requested_at + (of.delay_ms ?? 0) : null;
  return {
    ...blankRecord(workspace, requested_at),
    ...{ organization, block, action, kind, launched, started_at },
    environment: environment ? { value: environment, origin: 'label' } : null,
    status: of.status ?? 'success',
    exit_code: of.exit_code ?? null,
    duration_ms: started_at === null ? null : (of.duration_ms ?? null),
    ...{ block_version: of.block_version ?? null, app_version: of.app_version ?? null, block_from: of.block_from ?? null },
    ...{ os_user: of.os_user ?? null, hostname: of.hostname ?? null, reason: of.reason ?? null, status_reason: of.status_reason ?? null },
    principal: display ? { kind: 'os', issuer: null, subject: `1:${display}`, display } : null,
    client: client ? { name: client, version: null } : null,
  };
} // prettier-ignore

type Question = Pick<SummaryRequest, 'filters' | 'group_by' | 'timezone' | 'order'>;

async function compare({ records }: PruningPlace, runs: readonly ActionRun[], asked: Question): Promise<void> {
  const matching = runs.filter((run) => matches(run, asked.filters));
  const counted = matching.filter(isCounted);
  const right = expected(counted, asked);
  const got: RunGroup[] = [];
  for (let skip: number | null = 0; skip !== null;) {
    const page = await summarize(records.history, { ...asked, skip, limit: 7 });
    expect(page, JSON.stringify(asked)).toMatchObject({
      total_runs: counted.length,
      total_groups: right.length,
      approximate: false,
      excluded: {
        never_launched: matching.filter((run) => run.kind === 'action' && !run.launched).length,
        workflow_parents: matching.filter((run) => run.kind === 'workflow').length,
      },
    });
    got.push(...page.groups);
    skip = page.next;
  }
  expect(got, JSON.stringify(asked)).toEqual(right);
} // prettier-ignore

/** By reading every run; nothing of it is shared with the product. */
function expected(runs: readonly ActionRun[], { group_by, timezone, order }: Question): RunGroup[] {
  const groups = new Map<string, ActionRun[]>();
  for (const run of runs) {
    const key = JSON.stringify(group_by.map((name) => valueOf(run, name, timezone)));
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const list = [...groups].map(([key, members]) => groupOf(JSON.parse(key) as (string | null)[], members));
  const byKey = (a: RunGroup, b: RunGroup): number => {
    const at = a.key.findIndex((one, n) => one !== b.key[n]);
    if (at < 0) return 0;
    const [one, other] = [a.key[at]!, b.key[at]!];
    return one === null ? 1 : other === null ? -1 : one < other ? -1 : 1;
  };
  return list.sort((a, b) => (order === 'runs' && b.runs - a.runs) || byKey(a, b));
}

function groupOf(key: (string | null)[], runs: readonly ActionRun[]): RunGroup {
  const count = (...statuses: string[]): number => runs.filter(({ status }) => statuses.includes(status)).length;
  const durations = runs.flatMap(({ duration_ms: one }) => (one === null ? [] : [one])).sort((a, b) => a - b);
  const rank = (share: number): number => durations[Math.ceil(share * durations.length) - 1]!;
  const starts = runs.map((run) => run.started_at ?? run.requested_at);
  return {
    key,
    runs: runs.length,
    success: count('success'),
    failed: count('failed'),
    cancelled: count('cancelled'),
    unknown: count('unknown'),
    open: count('pending', 'running'),
    duration: durations.length === 0 ? null : { p50: rank(0.5), p95: rank(0.95), max: durations.at(-1)! },
    first: Math.min(...starts),
    last: Math.max(...starts),
  };
} // prettier-ignore

function valueOf(run: ActionRun, name: GroupKey, zone: string): string | null {
  const start = DateTime.fromMillis(run.started_at ?? run.requested_at, { zone });
  const times: Partial<Record<GroupKey, string>> = {
    hour: start.startOf('hour').toFormat("yyyy-MM-dd'T'HH:mmZZ"),
    day: start.toISODate()!,
    week: start.toISOWeekDate()!.slice(0, 8),
    month: start.toISODate()!.slice(0, 7),
  };
  const names: Partial<Record<GroupKey, string | null | undefined>> = {
    organization: run.organization,
    workspace: run.workspace,
    environment: run.environment?.value,
    block: run.block,
    block_version: run.block_version,
    action: run.action,
    status: run.status,
    user: run.principal?.display ?? run.os_user,
    host: run.hostname,
    client: run.client?.name,
    source: run.source,
  };
  if (!GROUP_KEYS.includes(name)) throw new Error(name);
  return times[name] ?? names[name] ?? null;
}
