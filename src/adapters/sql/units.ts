import type { BlockVersion, Spot, TraceQuery } from '../../history/versions.ts';
import { STATES, SUCCESS, type END_COLUMNS } from './spans.ts';
import { ask, list, type Dialect, type Steps } from './steps.ts';
import type { Where } from './where.ts';

// What is asked about versions is asked about rows of `unit_spans`, under the name `x`.

/** Numbers of the actions that are asked for; null: any. */
export type Actions = readonly number[] | null;

/** A block in its version in a workspace, with one environment and one origin; its runs are of the actions that are asked for. */
export interface Unit extends Record<(typeof END_COLUMNS)[number], number | null> {
  unit: number;
  first_run: number;
  last_run: number;
}

/** A block in a workspace, by the numbers of its terms. */
export interface Ground {
  place: number;
  block: number;
}

/** The units that have one version in one workspace in common; its environment or `from` may have changed. */
export interface Version extends Ground {
  release: number;
  /** Those that the question is about, where it is about some. */
  units: Unit[];
  /** All of them in the environment that is asked for: what the version is as one that another replaced, or was replaced by. */
  all: Unit[];
  /** Some of its units are what the question is about. */
  asked: boolean;
  /** One of them ran in the span of the question. */
  there: boolean;
}

export interface Selection {
  actions: Actions;
  /** Conditions on rows. */
  fits: string;
  there: string;
  /** What all of those have whose run is there, by their ends alone. */
  near: string;
  /** What is told of a version beside itself is of these rows. */
  beside: string;
  /** What else than its release may tell units of a ground apart. */
  varying: readonly string[];
  /** Numbers of the places that are seen; null: all. */
  places: readonly number[] | null;
}

const FILTERED = ['organization', 'place', 'environment', 'block', 'release', 'origin'] as const;

export function selectionOf({ columns, span }: Where, places: readonly number[] | null): Selection {
  const actions = columns.get('action') ?? null;
  const fits = FILTERED.flatMap((column) => {
    const numbers = columns.get(column);
    return numbers ? [`x.${column} IN (${list(numbers)})`] : [];
  });
  const environments = columns.get('environment');
  const beside = environments ? `x.environment IN (${list(environments)})` : 'true';
  const varying = (['environment', 'origin', 'action'] as const).filter((column) => {
    const values = column === 'action' ? (actions ?? [0]) : columns.get(column);
    return values?.length !== 1;
  });
  return { actions, fits: fits.join(' AND ') || 'true', ...thereIn(span), beside, varying, places };
}

const ALWAYS_THERE = 'true';

/** Which rows have a run in the span. Only where it lies between the first and the last run are runs looked at. */
function thereIn({ since, until }: TraceQuery['span']): Pick<Selection, 'there' | 'near'> {
  if (since === null && until === null) return { there: ALWAYS_THERE, near: ALWAYS_THERE };
  const [from, to] = [since ?? ALWAYS, until ?? NEVER].map((time) => list([time])) as [string, string];
  const run = (states: readonly number[]): string =>
    `EXISTS (SELECT 1 FROM narrow_runs c WHERE c.unit = x.unit AND c.state IN (${list(states)})
       AND c.start >= ${from} AND c.start < ${to} AND (x.action = 0 OR c.action = x.action))`;
  const rest = STATES.filter((state) => state !== SUCCESS);
  const near = `x.first_run < ${to} AND x.last_run >= ${from}`;
  const there = `(${near} AND (x.first_run >= ${from} OR x.last_run < ${to} OR ${run([SUCCESS])} OR ${run(rest)}))`;
  return { there, near };
} // prettier-ignore

export const [ALWAYS, NEVER] = [-8.64e15, 8.64e15];

/** Rows of the actions that are asked for. */
export function ofActions(actions: Actions): string {
  return `x.action IN (${list(actions ?? [0])})`;
}

/** A ground with versions that are asked for. */
export interface Asked extends Ground {
  versions: number;
  /** None of them arrived later. */
  newest: number;
  /** One of them succeeded. */
  succeeded: boolean;
}

interface AskedRow extends Ground {
  units: number;
  newest: number;
  other: number | null;
  succeeded: number;
  mixed: number;
}

/** Where there are versions that are asked for and that have a run in the span. */
export function* groundsAsked(selection: Selection, { apart }: Dialect): Steps<Asked[]> {
  const { actions, fits, near, there, varying } = selection;
  // Where a unit did not succeed another one of its version may have, in the span or not, and then counts when that was.
  const other = `SELECT max(y.first_success) FROM unit_spans y WHERE y.action IN (${list(actions ?? [0])})
    AND y.place = x.place AND y.block = x.block AND y.release = x.release`;
  const alike = varying.map((column) => `min(x.${column}) = max(x.${column})`).join(' AND ');
  const rows = yield* ask<AskedRow>(
    `SELECT x.place AS place, x.block AS block, count(*) AS units, max(coalesce(x.first_success, x.first_run)) AS newest,
       ${there === ALWAYS_THERE ? 'NULL' : `max(CASE WHEN x.first_success IS NULL THEN (${other}) END)`} AS other, count(x.first_success) AS succeeded,
       CASE WHEN ${alike || 'true'} THEN 0 ELSE 1 END AS mixed
     FROM (SELECT x.* FROM unit_spans x WHERE ${ofActions(actions)} AND ${fits} AND ${near} ${apart}) AS x
     WHERE ${there} GROUP BY x.place, x.block`,
  );
  const mixed = rows.filter((row) => row.mixed === 1);
  const counted = new Map(yield* countVersions(mixed, selection));
  return rows.map((row) => {
    const { place, block, units, newest, other, succeeded } = row;
    const versions = counted.get(row) ?? units;
    return { place, block, versions, newest: Math.max(newest, other ?? ALWAYS), succeeded: succeeded > 0 };
  });
} // prettier-ignore

const BATCH = 1_000;

/** Units are counted faster than versions, and are as many unless something else about them changed. */
function* countVersions<G extends Ground>(grounds: readonly G[], { actions, fits, there }: Selection): Steps<[G, number][]> {
  const counted: [G, number][] = [];
  for (let from = 0; from < grounds.length; from += BATCH) {
    const rows = yield* ask<{ ground: number; versions: number }>(
      `${groundsFrom(grounds, from)} SELECT g.ground AS ground, (SELECT count(DISTINCT x.release) FROM unit_spans x
         WHERE ${ofActions(actions)} AND x.place = g.place AND x.block = g.block AND ${fits} AND ${there}) AS versions FROM grounds g`,
    );
    for (const { ground, versions } of rows) counted.push([grounds[ground]!, versions]);
  }
  return counted;
} // prettier-ignore

/** Those of them where some version succeeded, whether it is one that is asked for or not. */
export function* groundsWithSuccess<G extends Ground>(grounds: readonly G[], { actions, beside }: Selection): Steps<G[]> {
  const found: G[] = [];
  for (let from = 0; from < grounds.length; from += BATCH) {
    const rows = yield* ask<{ ground: number; success: number | null }>(
      `${groundsFrom(grounds, from)} SELECT g.ground AS ground, (SELECT max(x.first_success) FROM unit_spans x
         WHERE ${ofActions(actions)} AND x.place = g.place AND x.block = g.block AND ${beside}) AS success FROM grounds g`,
    );
    for (const { ground, success } of rows) if (success !== null) found.push(grounds[ground]!);
  }
  return found;
} // prettier-ignore

function groundsFrom(grounds: readonly Ground[], from: number): string {
  const values = grounds.slice(from, from + BATCH).map(({ place, block }, n) => `(${list([from + n, place, block])})`);
  return `WITH grounds (ground, place, block) AS (VALUES ${values.join(', ')})`;
} // prettier-ignore

interface Row extends Unit, Ground {
  release: number;
  fits: number;
  there: number;
}

/** All versions of some blocks in some places, in the environment that is asked for; the order of the grounds is kept. */
export function* versionsOf(grounds: readonly Ground[], selection: Selection): Steps<Version[][]> {
  const found = grounds.map(() => new Map<number, Row[]>());
  for (let from = 0; from < grounds.length; from += BATCH) {
    const rows = yield* ask<Row & { ground: number }>(
      `${groundsFrom(grounds, from)}
       SELECT g.ground AS ground, x.place AS place, x.block AS block, x.release AS release, x.unit AS unit, x.first_run AS first_run,
         x.last_run AS last_run, x.first_success AS first_success, x.last_success AS last_success,
         CASE WHEN ${selection.fits} THEN 1 ELSE 0 END AS fits, CASE WHEN ${selection.fits} AND ${selection.there} THEN 1 ELSE 0 END AS there
       FROM grounds g CROSS JOIN unit_spans x
       WHERE ${ofActions(selection.actions)} AND x.place = g.place AND x.block = g.block AND ${selection.beside} ORDER BY x.unit`,
    );
    for (const row of rows) {
      const releases = found[row.ground]!;
      releases.set(row.release, [...(releases.get(row.release) ?? []), row]);
    }
  }
  return found.map((releases) => [...releases.values()].map(versionOf));
} // prettier-ignore

function versionOf(rows: readonly Row[]): Version {
  const { place, block, release } = rows[0]!;
  const asked = rows.some(({ fits }) => fits === 1);
  const own = asked ? rows.filter(({ fits }) => fits === 1) : rows;
  const there = own.some(({ there }) => there === 1);
  return { place, block, release, asked, there, units: merged(own), all: merged(rows) };
}

/** One for each unit, whatever actions were asked for. */
function merged(rows: readonly Row[]): Unit[] {
  const units = new Map<number, Unit>();
  const least = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.min(a, b));
  const most = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.max(a, b));
  for (const { unit, first_run, last_run, first_success, last_success } of rows) {
    const one = units.get(unit);
    units.set(unit, {
      unit,
      first_run: Math.min(first_run, one?.first_run ?? NEVER),
      last_run: Math.max(last_run, one?.last_run ?? ALWAYS),
      first_success: least(first_success, one?.first_success ?? null),
      last_success: most(last_success, one?.last_success ?? null),
    });
  }
  return [...units.values()];
} // prettier-ignore

type Members = [
  organization: string | null,
  workspace: string,
  environment: string | null,
  block: string,
  version: string | null,
  app_version: string | null,
  from: string | null,
];

/** What units are called. */
export interface Named extends Spot, BlockVersion {
  from: string | null;
}

export function* namesOf(units: readonly number[]): Steps<Map<number, Named>> {
  const wanted = [...new Set(units)];
  const names = new Map<number, Named>();
  for (let from = 0; from < wanted.length; from += BATCH) {
    const rows = yield* ask<{ id: number; value: string }>(
      `SELECT id, value FROM terms WHERE id IN (${list(wanted.slice(from, from + BATCH))})`,
    );
    for (const { id, value } of rows) {
      const [organization, workspace, environment, block, version, app_version, origin] = JSON.parse(value) as Members;
      names.set(id, { organization, workspace, environment, block, version, app_version, from: origin });
    }
  }
  return names;
} // prettier-ignore
