import { DateTime } from 'luxon';
import { createRandom, type Random } from '../soak/random.ts';
import { mintId, type Past } from '../support/fill-ledger.ts';

/** What every history of this generator is told in. */
export const ZONE = 'Europe/Berlin';

const MINUTE = 60_000;
const DAYS = 120;

/** A past run; what the story itself is about has a key, by which questions name it. */
export interface StoryRun extends Past {
  id: string;
  key?: string;
}

export interface History {
  /** The instant at which questions are asked. */
  now: number;
  /** In the order in which they were recorded. */
  runs: readonly StoryRun[];
  /** A planted run by its key. */
  planted(key: string): StoryRun;
}

interface Site {
  organization: string;
  workspace: string;
  environment: string;
  hostname: string;
}

/** `shop` exists in two organizations: a question that names it alone is ambiguous. */
export const SITES = {
  production: { organization: 'acme', workspace: 'shop', environment: 'production', hostname: 'bastion-1' },
  staging: { organization: 'acme', workspace: 'shop-staging', environment: 'staging', hostname: 'bastion-1' },
  data: { organization: 'acme', workspace: 'data', environment: 'production', hostname: 'bastion-2' },
  edge: { organization: 'acme', workspace: 'edge', environment: 'development', hostname: 'laptop-anna' },
  globex: { organization: 'globex', workspace: 'shop', environment: 'production', hostname: 'gx-jump' },
} as const satisfies Record<string, Site>;

interface Person {
  display: string;
  os_user: string;
  client: string;
}

export const PEOPLE = {
  anna: { display: 'Anna Berg', os_user: 'aberg', client: 'chat' },
  tom: { display: 'Tom Ude', os_user: 'tude', client: 'ide' },
  mei: { display: 'Mei Lin', os_user: 'mlin', client: 'chat' },
  /** Has left, and asked to be forgotten. */
  ola: { display: 'Ola Old', os_user: 'oold', client: 'chat' },
  ci: { display: 'ci-runner', os_user: 'ci', client: 'pipeline' },
} as const satisfies Record<string, Person>;

const WEBAPP = { block: 'webapp', block_from: 'cargo.example.com/acme/webapp' };
const POSTGRES = { block: 'postgres', block_from: 'cargo.example.com/acme/postgres:15.2' };
const BACKUP = { block: 'backup', block_from: null };

/** Releases of the web application, days before today: when it reached staging, and production. */
const RELEASES = [
  { version: '1.4.0', staging: 110, production: 104 },
  { version: '1.4.1', staging: 88, production: 83 },
  { version: '1.4.2', staging: 61, production: 55 },
  { version: '1.4.3', staging: 33, production: 26 },
  { version: '1.5.0', staging: 12, production: null },
] as const;

/** The whole story: ordinary days of four months, and in between what the questions are about. */
export function tellHistory({ seed, now }: { seed: number; now: number }): History {
  const random = createRandom(seed);
  const runs = [...ordinaryDays(random, now), ...releases(now), ...incidents(now), ...traps()]
    .filter(({ requested_at }) => requested_at < now - 5 * MINUTE)
    .sort((a, b) => a.requested_at - b.requested_at);
  runs.push(...reportedLate(now));
  const planted = new Map(runs.flatMap((run) => (run.key === undefined ? [] : [[run.key, run] as const])));
  return {
    now,
    runs,
    planted(key) {
      const run = planted.get(key);
      if (!run) throw new Error(`the story has no run "${key}"`);
      return run;
    },
  };
}

/** An instant on a local day, counted back from today. */
export function localTime(now: number, days_ago: number, clock: string): number {
  const [hour, minute, second = 0] = clock.split(':').map(Number);
  const day = DateTime.fromMillis(now, { zone: ZONE }).startOf('day').minus({ days: days_ago });
  return day.set({ hour: hour!, minute: minute!, second }).toMillis();
}

/** How many days ago the latest past one of this weekday was (1 Monday … 7 Sunday); today does not count. */
export function daysSince(now: number, weekday: number): number {
  const today = DateTime.fromMillis(now, { zone: ZONE }).weekday;
  return (today - weekday + 7) % 7 || 7;
}

function run(site: Site, person: Person, past: Omit<Past, keyof Site> & { key?: string }): StoryRun {
  return { id: mintId(), ...site, ...person, source: 'ledger', ...past };
}

function ordinaryDays(random: Random, now: number): StoryRun[] {
  const runs: StoryRun[] = [];
  for (let day = DAYS; day >= 0; day -= 1)
    runs.push(...nightlyBackups(random, now, day), ...dayWork(random, now, day));
  return runs;
}

/** Each night at half past two, when the clock may skip or repeat the hour; some fail, one site went quiet. */
function nightlyBackups(random: Random, now: number, day: number): StoryRun[] {
  return Object.values(SITES)
    .filter((site) => site !== SITES.edge || day > 40)
    .map((site) => {
      const failed = random.chance(0.04);
      return run(site, PEOPLE.ci, {
        ...BACKUP,
        block_version: '2.0.1',
        action: 'run',
        requested_at: localTime(now, day, '02:30') + random.below(MINUTE),
        delay_ms: random.below(4_000),
        duration_ms: 20_000 + random.below(900_000),
        status: failed ? 'failed' : 'success',
        exit_code: failed ? 2 : 0,
        ...(failed && { status_reason: 'exit code 2' }),
      });
    });
}

/** What people do on working days: look, restart in staging, try things; never a restart of a production database. */
function dayWork(random: Random, now: number, day: number): StoryRun[] {
  const weekday = DateTime.fromMillis(localTime(now, day, '12:00'), { zone: ZONE }).weekday;
  const count = weekday > 5 ? random.below(2) : 2 + random.below(6);
  return Array.from({ length: count }, () => {
    const site = random.of(Object.values(SITES));
    const person = random.of([PEOPLE.anna, PEOPLE.tom, PEOPLE.mei]);
    const status = random.weighed({ success: 86, failed: 9, cancelled: 3, unknown: 2 });
    const restarts = site === SITES.staging && random.chance(0.4);
    return run(site, person, {
      ...(restarts ? POSTGRES : random.of([POSTGRES, BACKUP])),
      block_version: restarts ? '15.2.0' : null,
      action: restarts ? 'restart' : 'status',
      requested_at: localTime(now, day, '08:00') + random.below(9 * 60 * MINUTE),
      delay_ms: random.below(20_000),
      duration_ms: 500 + random.below(120_000),
      status,
      exit_code: status === 'success' ? 0 : status === 'failed' ? 1 + random.below(4) : null,
      reason: random.chance(0.5) ? random.of(['routine check', 'ticket OPS-17', 'follow-up']) : null,
    });
  });
}

/** 1.4.3 failed once before it was in production; 1.4.2 came back for a day, then 1.4.3 for good. */
function releases(now: number): StoryRun[] {
  const deploy = (
    site: Site,
    at: number,
    { version, ...rest }: { version: string } & Partial<Past> & { key?: string },
  ): StoryRun =>
    run(site, PEOPLE.tom, {
      ...WEBAPP,
      block_from: `${WEBAPP.block_from}:${version}`,
      block_version: version,
      app_version: version.replace(/^1/, '2026'),
      action: 'install',
      requested_at: at,
      delay_ms: 3_000,
      duration_ms: 95_000,
      reason: `release ${version}`,
      ...rest,
    });
  return [
    ...RELEASES.flatMap(({ version, staging, production }) => [
      deploy(SITES.staging, localTime(now, staging, '11:00'), { version, key: `staging ${version}` }),
      ...(production === null
        ? []
        : [deploy(SITES.production, localTime(now, production, '14:00'), { version, key: `production ${version}` })]),
    ]),
    deploy(SITES.production, localTime(now, 27, '14:00'), {
      version: '1.4.3', key: 'failed 1.4.3', status: 'failed', exit_code: 2,
    }),
    deploy(SITES.production, localTime(now, 20, '16:20'), { version: '1.4.2', key: 'roll-back', reason: 'roll back, slow checkout' }),
    deploy(SITES.production, localTime(now, 19, '10:05'), { version: '1.4.3', key: 'again 1.4.3' }),
    deploy(SITES.globex, localTime(now, 70, '09:30'), { version: '1.4.1', key: 'globex 1.4.1' }),
  ]; // prettier-ignore
}

function incidents(now: number): StoryRun[] {
  const friday = daysSince(now, 5);
  return [
    run(SITES.production, PEOPLE.anna, {
      ...POSTGRES, key: 'friday restart', block_version: '15.2.0', action: 'restart', reason: 'incident 42: connections exhausted',
      requested_at: localTime(now, friday, '19:41:30'), delay_ms: 12_000, duration_ms: 8_000,
    }),
    run(SITES.data, PEOPLE.mei, {
      ...POSTGRES, key: 'friday afternoon restart', block_version: '15.2.0', action: 'restart',
      requested_at: localTime(now, friday, '15:10'), duration_ms: 6_000,
    }),
    // Before the outage of the day before yesterday, 21:17: a migration on the database's own host.
    run(SITES.production, PEOPLE.mei, {
      ...POSTGRES, key: 'migration', block_version: '15.3.0', action: 'migrate', reason: 'OPS-99',
      requested_at: localTime(now, 2, '20:55'), duration_ms: 300_000, status: 'failed', exit_code: 2,
    }),
    run(SITES.edge, PEOPLE.tom, {
      ...POSTGRES, key: 'unrelated', block_version: '15.2.0', action: 'tune', requested_at: localTime(now, 2, '20:58'),
    }),
    run(SITES.production, PEOPLE.anna, {
      ...POSTGRES, key: 'cancelled vacuum', block_version: '15.3.0', action: 'vacuum', status: 'cancelled', exit_code: 143,
      requested_at: localTime(now, 2, '21:25'), duration_ms: 40_000,
    }),
    run(SITES.production, PEOPLE.anna, {
      ...POSTGRES, key: 'lost restart', block_version: '15.3.0', action: 'restart', status: 'unknown',
      requested_at: localTime(now, 2, '21:31'), duration_ms: 60_000, status_reason: 'nobody saw its end',
    }),
    // Across midnight of the month's first day.
    run(SITES.data, PEOPLE.ci, {
      ...BACKUP, key: 'across midnight', block_version: '2.0.1', action: 'full',
      requested_at: firstOfMonth(now) - 20 * MINUTE, duration_ms: 45 * MINUTE,
    }),
    run(SITES.production, PEOPLE.tom, {
      ...POSTGRES, key: 'never launched', action: 'restart', launched: false, status: 'failed',
      status_reason: 'not launched: no engine answers', requested_at: localTime(now, friday, '19:30'), reason: 'first attempt',
    }),
  ]; // prettier-ignore
}

/** Recorded when all else was there already, as a machine does that was off the net for weeks. */
function reportedLate(now: number): StoryRun[] {
  return [
    run(SITES.data, PEOPLE.tom, {
      ...WEBAPP, key: 'late report', block_from: `${WEBAPP.block_from}:1.4.2`, block_version: '1.4.2', action: 'install',
      requested_at: localTime(now, 58, '13:00'), duration_ms: 60_000, reason: 'told weeks later',
    }),
    run(SITES.data, PEOPLE.ola, {
      ...POSTGRES, key: 'erased', block_version: '15.2.0', action: 'failover', requested_at: localTime(now, 44, '09:00'),
      duration_ms: 20_000,
    }),
  ]; // prettier-ignore
}

function firstOfMonth(now: number): number {
  return DateTime.fromMillis(now, { zone: ZONE }).startOf('month').toMillis();
}

/** In the night of 2026-10-25 the hour from 02:00 to 03:00 exists twice; one run in each of them. */
function traps(): StoryRun[] {
  return (['+02:00', '+01:00'] as const).map((offset) =>
    run(SITES.data, PEOPLE.anna, {
      ...POSTGRES,
      key: `doubled hour ${offset}`,
      block_version: '15.2.0',
      action: 'reindex',
      requested_at: Date.parse(`2026-10-25T02:40:00${offset}`),
      duration_ms: 30_000,
    }),
  );
}
