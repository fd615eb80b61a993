import { compareVersions, type CurrentVersion } from '../../history/versions.ts';
import { ask, list, type Steps } from './steps.ts';
import { termsOf } from './terms.ts';
import type { Named, Selection } from './units.ts';
import { placeOf } from './where.ts';

/** Blocks of one origin are one family; else those of one name in one organization, without an origin. */
interface Family {
  column: 'origin' | 'block';
  numbers: readonly number[];
  /** A condition on rows. */
  rows: string;
}

/** A release that a family has at all. */
interface Candidate {
  family: Family;
  release: number;
  version: string;
  app_version: string | null;
  /** Versions in their order; those that are the same have the same rank. */
  rank: number;
}

/** For each version that is current somewhere the highest version of its family that succeeded anywhere and is higher; null: there is none. */
export function* behindOf(current: readonly Named[], selection: Selection): Steps<CurrentVersion['behind'][]> {
  const families = yield* familiesOf(current);
  const candidates = yield* higher(current, { families, selection });
  const found: CurrentVersion['behind'][] = current.map(() => null);
  // The highest is looked for first, and is there mostly.
  for (let from = 0, to = 1; candidates.some((own) => own.length > from); [from, to] = [to, to + AT_ONCE]) {
    const open = candidates.map((own, look) => (found[look] ? [] : own.slice(from, to)));
    const places = yield* placesOf([...new Set(open.flat())], selection);
    for (const [look, own] of open.entries()) {
      const best = own.find((one) => places.has(one));
      if (best) found[look] = { ...placeOf(places.get(best)!), version: best.version, app_version: best.app_version };
    }
  }
  return found;
} // prettier-ignore

const AT_ONCE = 8;

/** Of each version; those of one family have it in common. */
function* familiesOf(current: readonly Named[]): Steps<Family[]> {
  const origins = current.some(({ from }) => from !== null) ? yield* termsOf('origin') : [];
  const known = new Map<string, Family>();
  for (const { from, organization, block } of current) {
    const name = nameOf({ from, organization, block });
    if (known.has(name)) continue;
    if (from === null) {
      const of = organization === null ? [0] : yield* numbersOf('organization', organization);
      known.set(name, { column: 'block', numbers: yield* numbersOf('block', block), rows: `x.origin = 0 AND x.organization IN (${list(of)})` });
      continue;
    }
    const own = unversioned(from);
    const numbers = origins.filter(({ value }) => unversioned(value) === own).map(({ id }) => id);
    known.set(name, { column: 'origin', numbers, rows: 'true' });
  }
  return current.map((one) => known.get(nameOf(one))!);
} // prettier-ignore

function nameOf({ from, organization, block }: Pick<Named, 'from' | 'organization' | 'block'>): string {
  return JSON.stringify(from === null ? [organization, block] : unversioned(from));
}

function* numbersOf(kind: 'organization' | 'block', value: string): Steps<number[]> {
  const rows = yield* ask<{ id: number }>('SELECT id FROM terms WHERE kind = ? AND value = ?', [kind, value]);
  return rows.map(({ id }) => id);
}

const unversioned = (from: string): string => from.replace(/:[^:/]*$/, '');

interface Parts {
  families: readonly Family[];
  selection: Selection;
}

/** For each version the releases that its family has at all and that are higher, the highest first. */
function* higher(current: readonly Named[], { families, selection }: Parts): Steps<Candidate[][]> {
  const each = [...new Set(families)];
  const seen = yield* releasesOf(each, selection);
  const versions = yield* versionsOf([...new Set([...seen.values()].flat())]);
  const ranks = ranksOf([...current, ...[...versions.values()].map(([version]) => ({ version }))]);
  const candidates = new Map(each.map((family): [Family, Candidate[]] => {
    const own = seen.get(family)!.flatMap((release): Candidate[] => {
      const [version, app_version] = versions.get(release) ?? [null, null];
      return version === null ? [] : [{ family, release, version, app_version, rank: ranks.get(version)! }];
    });
    return [family, own.sort((a, b) => b.rank - a.rank || a.release - b.release)];
  }));
  return current.map(({ version }, n) => {
    if (version === null) return [];
    const rank = ranks.get(version)!;
    return candidates.get(families[n]!)!.filter((one) => one.rank > rank);
  });
} // prettier-ignore

function ranksOf(named: readonly Pick<Named, 'version'>[]): Map<string, number> {
  const versions = [...new Set(named.flatMap(({ version }) => (version === null ? [] : [version])))].sort(compareVersions);
  let rank = 0;
  return new Map(versions.map((version, n) => {
    if (n > 0 && compareVersions(versions[n - 1]!, version) !== 0) rank += 1;
    return [version, rank];
  }));
} // prettier-ignore

function* releasesOf(families: readonly Family[], { actions }: Selection): Steps<Map<Family, number[]>> {
  const seen = new Map(families.map((family) => [family, new Set<number>()]));
  for (const column of ['origin', 'block'] as const) {
    const heads = families.flatMap((family, look) =>
      family.column === column ? family.numbers.flatMap((number) => (actions ?? [0]).map((action) => `(${list([look, action, number])})`)) : [],
    );
    if (heads.length === 0) continue;
    const next = (where: string, more: string): string =>
      `(SELECT x.release FROM unit_spans x WHERE x.action = ${where}.action AND x.${column} = ${where}.number${more} ORDER BY x.release LIMIT 1)`;
    // From one release to the next in the index, without the rows between.
    const rows = yield* ask<{ look: number; release: number }>(
      `WITH RECURSIVE heads (look, action, number) AS (VALUES ${heads.join(', ')}),
         found (look, action, number, release) AS (
           SELECT h.look, h.action, h.number, ${next('h', '')} FROM heads h
           UNION ALL SELECT f.look, f.action, f.number, ${next('f', ' AND x.release > f.release')} FROM found f WHERE f.release IS NOT NULL)
       SELECT DISTINCT look, release FROM found WHERE release IS NOT NULL`,
    );
    for (const { look, release } of rows) seen.get(families[look]!)!.add(release);
  }
  return new Map([...seen].map(([family, releases]) => [family, [...releases]]));
} // prettier-ignore

type Release = [version: string | null, app_version: string | null];

function* versionsOf(releases: readonly number[]): Steps<Map<number, Release>> {
  if (releases.length === 0) return new Map();
  const rows = yield* ask<{ id: number; value: string }>(`SELECT id, value FROM terms WHERE id IN (${list(releases)})`);
  return new Map(rows.map(({ id, value }) => [id, JSON.parse(value) as Release]));
} // prettier-ignore

/** Where candidates succeeded, of those that did. */
function* placesOf(candidates: readonly Candidate[], selection: Selection): Steps<Map<Candidate, string>> {
  const actions = list(selection.actions ?? [0]);
  const seen = selection.places ? ` AND x.place IN (${list(selection.places)})` : '';
  const looks = candidates.map(({ family: { column, numbers, rows }, release }, n) =>
    `SELECT ${n} AS n, (SELECT x.place FROM unit_spans x WHERE x.action IN (${actions}) AND x.${column} IN (${list(numbers)})
      AND x.release = ${list([release])} AND ${rows}${seen} AND x.first_success IS NOT NULL ORDER BY x.place LIMIT 1) AS place`,
  );
  if (looks.length === 0) return new Map();
  const found = yield* ask<{ n: number; value: string }>(
    `SELECT l.n AS n, t.value AS value FROM (${looks.join(' UNION ALL ')}) AS l JOIN terms t ON t.id = l.place`,
  );
  return new Map(found.map(({ n, value }) => [candidates[n]!, value]));
} // prettier-ignore
