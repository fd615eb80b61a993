import { DateTime } from 'luxon';
import { daysSince, localTime, PEOPLE, SITES, ZONE, type History, type StoryRun } from './history.ts';
import { durationOf, endOf, percentile, startOf, type Oracle, type Span } from './oracle.ts';

export interface Story {
  history: History;
  oracle: Oracle;
  now: number;
}

/** A question, the one call that answers it, and what of the answer must be what the oracle says. */
export interface Question {
  ask: string;
  tool: string;
  args: (story: Story) => Record<string, unknown>;
  told: (answer: any) => unknown;
  right: (story: Story) => unknown;
}

/** A question that must be refused: with this code, and with what would be right among the valid values. */
export interface Refusal {
  ask: string;
  tool: string;
  args: (story: Story) => Record<string, unknown>;
  code: string;
  valid?: string;
}

const search = (
  ask: string,
  args: Record<string, unknown> | ((story: Story) => Record<string, unknown>),
  right: (story: Story) => StoryRun[],
): Question => ({
  ask,
  tool: 'search_action_runs',
  args: (story) => ({ limit: 100, order: 'oldest', ...(typeof args === 'function' ? args(story) : args) }),
  told: ({ total, runs }) => ({ total, ids: ids(runs) }),
  right: (story) => {
    const runs = [...right(story)].sort((a, b) => startOf(a) - startOf(b));
    return { total: runs.length, ids: runs.slice(0, 100).map(({ id }) => id).sort() };
  },
}); // prettier-ignore

const summarize = (
  ask: string,
  args: Record<string, unknown>,
  told: Question['told'],
  right: Question['right'],
): Question => ({ ask, tool: 'summarize_action_runs', args: () => args, told, right });
const trace = (
  ask: string,
  args: Record<string, unknown>,
  told: Question['told'],
  right: Question['right'],
): Question => ({ ask, tool: 'trace_versions', args: () => args, told, right });

const ids = (rows: any[]): string[] => rows.map(({ id }) => id as string).sort();
const iso = (at: number): string => new Date(at).toISOString();
const at = (story: Story, days: number, clock: string): number => localTime(story.now, days, clock);
const planted = ({ history }: Story, key: string): StoryRun => history.planted(key);
const begun = (story: Story, key: string): string => iso(startOf(planted(story, key)));

const day = ({ now }: Story, days: number): Span => ({
  since: localTime(now, days, '00:00'),
  until: DateTime.fromMillis(localTime(now, days, '00:00'), { zone: ZONE })
    .plus({ days: 1 })
    .toMillis(),
});
const friday = ({ now }: Story): number => daysSince(now, 5);
const lastMonth = ({ now }: Story): Span => {
  const month = DateTime.fromMillis(now, { zone: ZONE }).startOf('month');
  return { since: month.minus({ months: 1 }).toMillis(), until: month.toMillis() };
};
const production = ({ environment }: StoryRun): boolean => environment === 'production';
const isOf =
  (fields: Partial<StoryRun>) =>
  (run: StoryRun): boolean =>
    Object.entries(fields).every(([name, value]) => run[name as keyof StoryRun] === value);
const everything = (): boolean => true;

/** On a Friday the words may already mean today, so that the evening of the story is named by its times then. */
export function fridayEvening({ now }: Pick<Story, 'now'>): Record<string, unknown> {
  if (DateTime.fromMillis(now, { zone: ZONE }).weekday !== 5) return { during: 'friday evening' };
  return { since: iso(localTime(now, 7, '17:00')), until: iso(localTime(now, 6, '00:00')) };
}

const restartedOnFriday = (story: Story): Record<string, unknown> => ({
  block: 'postgres', action: 'restart', environment: 'production', ...fridayEvening(story),
}); // prettier-ignore

export const QUESTIONS: readonly Question[] = [
  // The four of the mission.
  search(
    'Who restarted the production database on Friday evening?',
    restartedOnFriday,
    (s) => [planted(s, 'friday restart')],
  ),
  {
    ...search('… and who was it?', restartedOnFriday, () => []),
    told: ({ runs }) => runs.map(({ user, workspace, status }: any) => [user, workspace, status]),
    right: () => [['Anna Berg', 'shop', 'success']],
  },
  trace(
    'When did 1.4.3 reach production?',
    { block: 'webapp', block_version: '1.4.3', environment: 'production' },
    ({ total, timeline }) => [total, timeline.map(({ first, workspace }: any) => [first.at, first.run_id, first.user, workspace])],
    (s) => [1, [[begun(s, 'production 1.4.3'), planted(s, 'production 1.4.3').id, 'Tom Ude', 'shop']]],
  ),
  summarize(
    'How many deployments of the web application were there last month?',
    { block: 'webapp', action: 'install', during: 'last month' },
    ({ total_runs }) => total_runs,
    (s) => s.oracle.runs(isOf({ block: 'webapp', action: 'install' }), lastMonth(s)).length,
  ),
  {
    ask: 'What changed before the incident of the day before yesterday, 21:17?',
    tool: 'find_changes',
    args: (s) => ({ at: iso(at(s, 2, '21:17')), before: '1h', workspace: 'acme/shop', host: 'bastion-1' }),
    told: ({ total, changes }) => ({ total, first: changes[0].id, same: changes[0].same, distance: changes[0].distance }),
    right: (s) => {
      const [end, since] = [at(s, 2, '21:17'), at(s, 2, '20:17')];
      const found = s.oracle.runs((run) => startOf(run) <= end && endOf(run) > since);
      return { total: found.length, first: planted(s, 'migration').id, same: ['workspace', 'host'], distance: '17m before' };
    },
  },
  {
    ask: 'To which version did the database move just before the incident?',
    tool: 'find_changes',
    args: (s) => ({ at: iso(at(s, 2, '21:17')), before: '1h', workspace: 'acme/shop', block: 'postgres' }),
    told: ({ changes }) => [changes[0].id, changes[0].status, changes[0].changed.block_version.to],
    right: (s) => [planted(s, 'migration').id, 'failed', '15.3.0'],
  },
  {
    ask: 'What happened in the half hour after it began, cancelled and lost runs included?',
    tool: 'find_changes',
    args: (s) => ({ at: iso(at(s, 2, '21:17')), before: '0h', after: '30m', block: 'postgres', workspace: 'acme/shop' }),
    told: ({ changes, in_scope }) => [in_scope, changes.slice(0, 2).map(({ id, status }: any) => [id, status])],
    right: (s) => [
      s.oracle.runs(
        (run) => run.block === 'postgres' || (run.workspace === 'shop' && run.organization === 'acme'),
        { since: at(s, 2, '21:17'), until: at(s, 2, '21:47') + 1 },
      ).length,
      [[planted(s, 'cancelled vacuum').id, 'cancelled'], [planted(s, 'lost restart').id, 'unknown']],
    ],
  },
  {
    ask: 'Was anything still going on at midnight of the first of the month?',
    tool: 'find_changes',
    args: (s) => ({ at: iso(lastMonth(s).until), before: '1m', workspace: 'data' }),
    told: ({ changes }) => [changes[0].id, changes[0].distance],
    right: (s) => [planted(s, 'across midnight').id, 'going on'],
  },
  {
    ask: 'What ran before our records begin?',
    tool: 'find_changes',
    args: () => ({ at: '2020-01-01T00:00:00Z', before: '30d' }),
    told: ({ total, changes, coverage }) => [total, changes, coverage.length > 0],
    right: () => [0, [], true],
  },

  // Versions.
  trace(
    'What did 1.4.3 replace in production, and was it rolled back?',
    { block: 'webapp', environment: 'production', workspace: 'acme/shop', block_version: '1.4.3' },
    ({ timeline: [one] }) => [one.replaced.version, one.failed_before, one.first_failed.run_id, one.returns.map(({ run_id, replaced }: any) => [run_id, replaced.version])],
    (s) => ['1.4.2', 1, planted(s, 'failed 1.4.3').id, [[planted(s, 'again 1.4.3').id, '1.4.2']]],
  ),
  trace(
    'Was 1.4.2 ever brought back?',
    { block: 'webapp', environment: 'production', workspace: 'acme/shop', block_version: '1.4.2' },
    ({ timeline: [one] }) => one.returns.map(({ run_id, replaced }: any) => [run_id, replaced.version]),
    (s) => [[planted(s, 'roll-back').id, '1.4.3']],
  ),
  trace(
    'Which version of the web application is where now, and what lags behind?',
    { block: 'webapp' },
    ({ current }) => current.map(({ organization, workspace, version, behind }: any) => [organization, workspace, version, behind?.version ?? null]),
    () => [['acme', 'data', '1.4.2', '1.5.0'], ['acme', 'shop', '1.4.3', '1.5.0'], ['acme', 'shop-staging', '1.5.0', null], ['globex', 'shop', '1.4.1', '1.5.0']],
  ),
  trace(
    'Since when is 1.4.3 what production has now?',
    { block: 'webapp', workspace: 'acme/shop' },
    ({ current }) => current.map(({ version, since }: any) => [version, since]),
    (s) => [['1.4.3', begun(s, 'again 1.4.3')]],
  ),
  trace(
    'When did application version 2026.4.3 first succeed anywhere?',
    { block_version: '2026.4.3' },
    ({ timeline, matched }) => [timeline.at(-1).first.run_id, timeline.at(-1).environment, matched],
    (s) => [planted(s, 'staging 1.4.3').id, 'staging', { block_version: 0, app_version: 2 }],
  ),
  trace(
    'When did 1.4.2 reach the data workspace, which told of it weeks later?',
    { block_version: '1.4.2', workspace: 'data' },
    ({ timeline }) => timeline.map(({ first, replaced }: any) => [first.at, first.run_id, replaced]),
    (s) => [[begun(s, 'late report'), planted(s, 'late report').id, null]],
  ),
  trace(
    'Which versions of blocks made from acme/webapp were in use in the organization globex?',
    { from: 'acme/webapp', organization: 'globex' },
    ({ total, timeline }) => [total, timeline[0].first.run_id],
    (s) => [1, planted(s, 'globex 1.4.1').id],
  ),
  trace(
    'Has 1.5.0 reached production?',
    { block: 'webapp', block_version: '1.5.0', environment: 'production' },
    ({ total, timeline, current }) => [total, timeline, current],
    () => [0, [], []],
  ),

  // Who, when, where.
  search('What ran in production last month?', { environment: 'production', during: 'last month' }, (s) => s.oracle.runs(production, lastMonth(s))),
  search('What failed in staging?', { environment: 'staging', status: 'failed' }, ({ oracle }) => oracle.runs(isOf({ environment: 'staging', status: 'failed' }))),
  search('What did mlin do?', { user: 'MLIN' }, ({ oracle }) => oracle.runs(isOf({ os_user: 'mlin' }))),
  search('What did Tom Ude or Anna Berg cancel or break?', { user: ['tom ude', 'Anna Berg'], status: ['cancelled', 'failed'] }, ({ oracle }) =>
    oracle.runs(({ os_user, status }) => ['tude', 'aberg'].includes(os_user!) && ['cancelled', 'failed'].includes(status!))),
  search('Which runs of the database ended as nobody saw?', { block: 'postgres', status: 'unknown' }, ({ oracle }) => oracle.runs(isOf({ block: 'postgres', status: 'unknown' }))),
  search('Which runs were cancelled with exit code 143?', { exit_code: 143 }, ({ oracle }) => oracle.runs(isOf({ exit_code: 143 }))),
  search('What ran on the jump host of globex?', { host: 'gx-jump', block: ['webapp', 'postgres'] }, ({ oracle }) =>
    oracle.runs(({ hostname, block }) => hostname === 'gx-jump' && block !== 'backup')),
  search('Which runs mention incident 42?', { text: 'INCIDENT 42' }, (s) => [planted(s, 'friday restart')]),
  search('What was started from the IDE in the development workspace?', { client: 'ide', environment: 'development' }, ({ oracle }) =>
    oracle.runs(isOf({ client: 'ide', environment: 'development' }))),
  search('Which blocks made from acme/postgres were tuned?', { from: 'acme/postgres', action: 'tune' }, (s) => [planted(s, 'unrelated')]),
  search('What ran yesterday?', { during: 'yesterday' }, (s) => s.oracle.runs(everything, day(s, 1))),
  search('What ran on that day, given as a date?', (s) => ({ during: DateTime.fromMillis(at(s, 30, '12:00'), { zone: ZONE }).toISODate() }), (s) => s.oracle.runs(everything, day(s, 30))),
  search('What ran in the ten days before the last release?', (s) => ({ since: iso(at(s, 36, '14:00')), until: iso(at(s, 26, '14:00')), block: 'webapp' }), (s) =>
    s.oracle.runs(isOf({ block: 'webapp' }), { since: at(s, 36, '14:00'), until: at(s, 26, '14:00') })),

  // Traps of time.
  search('What was reindexed in the first 02:40 of the night of 25 October?', { action: 'reindex', since: '2026-10-25T02:30:00+02:00', until: '2026-10-25T02:50:00+02:00' }, (s) => [planted(s, 'doubled hour +02:00')]),
  search('And in the second one?', { action: 'reindex', since: '2026-10-25T02:30:00+01:00', until: '2026-10-25T02:50:00+01:00' }, (s) => [planted(s, 'doubled hour +01:00')]),
  search('What was reindexed on 25 October, whose day has 25 hours?', { action: 'reindex', during: '2026-10-25' }, (s) => [planted(s, 'doubled hour +02:00'), planted(s, 'doubled hour +01:00')]),
  summarize(
    'How many runs had each hour of that night?',
    { during: '2026-10-25', action: 'reindex', group_by: ['hour'], order: 'key' },
    ({ groups }) => groups.map(({ key, runs }: any) => [key.hour, runs]),
    () => [['2026-10-25T02:00+02:00', 1], ['2026-10-25T02:00+01:00', 1]],
  ),
  search('What ran on that Friday as New York counts days?', (s) => ({ during: DateTime.fromMillis(at(s, friday(s), '12:00'), { zone: ZONE }).toISODate(), timezone: 'America/New_York' }), (s) => {
    const local = DateTime.fromMillis(at(s, friday(s), '12:00'), { zone: ZONE });
    const there = DateTime.fromObject({ year: local.year, month: local.month, day: local.day }, { zone: 'America/New_York' });
    return s.oracle.runs(everything, { since: there.toMillis(), until: there.plus({ days: 1 }).toMillis() });
  }),
  search('Which full backup was going on when the month began?', (s) => ({ action: 'full', time_field: 'overlaps', since: iso(lastMonth(s).until), until: iso(lastMonth(s).until + 60_000) }), (s) => [planted(s, 'across midnight')]),
  search('Which full backup began in that minute?', (s) => ({ action: 'full', since: iso(lastMonth(s).until), until: iso(lastMonth(s).until + 60_000) }), () => []),
  search('Which full backups ended in this month?', (s) => ({ action: 'full', time_field: 'finished', since: iso(lastMonth(s).until) }), (s) => [planted(s, 'across midnight')]),
  search('Was the database restarted in production on Friday at noon?', (s) => ({ block: 'postgres', action: 'restart', environment: 'production', since: iso(at(s, friday(s), '11:00')), until: iso(at(s, friday(s), '13:00')) }), () => []),
  search('What ran in 2019, before the records begin?', { during: '2019' }, () => []),

  // What does not count, and what is gone.
  {
    ask: 'Was there an attempt to restart that never launched?',
    tool: 'search_action_runs',
    args: (s) => ({ block: 'postgres', action: 'restart', workspace: 'acme/shop', since: iso(at(s, friday(s), '19:00')), until: iso(at(s, friday(s), '21:00')), include_excluded: true, order: 'oldest' }),
    told: ({ total, runs, excluded }) => [total, runs.map(({ id, status }: any) => [id, status]), excluded.never_launched],
    right: (s) => [2, [[planted(s, 'never launched').id, 'failed'], [planted(s, 'friday restart').id, 'success']], 1],
  },
  search('Who failed over the database, in a run that was told of late and whose person was erased?', { action: 'failover' }, (s) => [planted(s, 'erased')]),
  {
    ...search('… and is the name gone?', { action: 'failover' }, () => []),
    told: ({ runs }) => runs.map(({ user, host }: any) => [user, host]),
    right: () => [[null, null]],
  },

  // Counting.
  summarize('How many runs are there at all?', {}, ({ total_runs, excluded }) => [total_runs, excluded.never_launched], ({ oracle }) => [oracle.runs(everything).length, oracle.uncounted(everything).length]),
  summarize('How did backups end, and how long do they take?', { block: 'backup', action: 'run' }, ({ groups: [g] }) => [g.runs, g.success, g.failed, g.duration], ({ oracle }) => {
    const runs = oracle.runs(isOf({ block: 'backup', action: 'run' }));
    const times = runs.map(durationOf);
    const count = (status: string): number => runs.filter((run) => (run.status ?? 'success') === status).length;
    return [runs.length, count('success'), count('failed'), { p50: percentile(times, 0.5), p95: percentile(times, 0.95), max: Math.max(...times) }];
  }),
  summarize('Who ran how much in production?', { environment: 'production', group_by: ['user'] }, ({ groups }) => Object.fromEntries(groups.map(({ key, runs }: any) => [key.user, runs])), ({ oracle }) =>
    tally(oracle.runs(production), ({ display, key }) => (key === 'erased' ? 'null' : display!))),
  summarize('Which workspaces have the most failures?', { status: 'failed', group_by: ['organization', 'workspace'] }, ({ groups }) =>
    Object.fromEntries(groups.map(({ key, failed }: any) => [`${key.organization}/${key.workspace}`, failed])), ({ oracle }) =>
    tally(oracle.runs(isOf({ status: 'failed' })), ({ organization, workspace }) => `${organization}/${workspace}`)),
  summarize('How many runs had each month?', { group_by: ['month'], order: 'key' }, ({ groups }) => Object.fromEntries(groups.map(({ key, runs }: any) => [key.month, runs])), ({ oracle }) =>
    tally(oracle.runs(everything), (run) => DateTime.fromMillis(startOf(run), { zone: ZONE }).toFormat('yyyy-MM'))),
]; // prettier-ignore

function tally(runs: readonly StoryRun[], name: (run: StoryRun) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const run of runs) counts[name(run)] = (counts[name(run)] ?? 0) + 1;
  return counts;
}

const refused = (
  ask: string,
  tool: string,
  args: Record<string, unknown>,
  rest: Pick<Refusal, 'code' | 'valid'>,
): Refusal => ({ ask, tool, args: () => args, ...rest });

export const REFUSALS: readonly Refusal[] = [
  refused('Which shop is meant?', 'search_action_runs', { workspace: 'shop' }, { code: 'ambiguous_name', valid: 'globex/shop' }),
  refused('Versions in which shop?', 'trace_versions', { workspace: 'shop' }, { code: 'ambiguous_name', valid: 'acme/shop' }),
  refused('What happened around which shop?', 'find_changes', { at: 'yesterday 12:00', workspace: 'shop' }, { code: 'ambiguous_name', valid: 'acme/shop' }),
  refused('A block with a typing error', 'search_action_runs', { block: 'postgers' }, { code: 'unknown_name', valid: 'postgres' }),
  refused('A version that never was', 'trace_versions', { block_version: '1.4.33' }, { code: 'unknown_name', valid: '1.4.3' }),
  refused('A host with a typing error', 'find_changes', { at: 'yesterday 12:00', host: 'bastion1' }, { code: 'unknown_name', valid: 'bastion-1' }),
  refused('What did Ola Old do, who was erased?', 'search_action_runs', { user: PEOPLE.ola.display }, { code: 'unknown_name' }),
  refused('The hour that exists twice', 'search_action_runs', { since: '2026-10-25 02:40' }, { code: 'invalid_argument' }),
  refused('An instant in the hour that exists twice', 'find_changes', { at: '2026-10-25 02:40' }, { code: 'invalid_argument' }),
  refused('A time that nobody understands', 'find_changes', { at: 'when it broke' }, { code: 'invalid_argument' }),
  refused('A length that is none', 'find_changes', { at: 'yesterday 12:00', before: 'a while' }, { code: 'invalid_argument', valid: '24h' }),
  refused('Nothing to look at', 'find_changes', { at: 'yesterday 12:00', before: '0h' }, { code: 'invalid_argument', valid: '24h' }),
  refused('An interval that ends before it begins', 'trace_versions', { since: '2026-10-02', until: '2026-10-01' }, { code: 'invalid_argument' }),
  refused('A cursor of another question', 'trace_versions', { block: 'webapp', cursor: 'forged' }, { code: 'invalid_argument' }),
  refused(`${SITES.globex.workspace} of acme in globex`, 'search_action_runs', { workspace: 'acme/shop', organization: 'globex' }, { code: 'invalid_argument' }),
]; // prettier-ignore
