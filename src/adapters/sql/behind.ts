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

interface Candidate {
  look: number;
  release: number;
  version: string;
  app_version: string | null;
}

/** For each version that is current somewhere the highest version of its family that succeeded anywhere and is higher; null: there is none. */
export function* behindOf(current: readonly Named[], selection: Selection): Steps<CurrentVersion['behind'][]> {
  const families = yield* familiesOf(current);
  const candidates = yield* higher(current, { families, selection });
  const found: CurrentVersion['behind'][] = current.map(() => null);
  // The highest are looked for first: most of them are there.
  for (let round = 0; candidates.some((own) => own.length > round * AT_ONCE); round += 1) {
    const open = candidates.flatMap((own, look) => (found[look] ? [] : own.slice(round * AT_ONCE, (round + 1) * AT_ONCE)));
    for (const [one, place] of yield* places(open, { families, selection })) {
      found[one.look] ??= { ...placeOf(place), version: one.version, app_version: one.app_version };
    }
  }
  return found;
} // prettier-ignore

const AT_ONCE = 8;

function* familiesOf(current: readonly Named[]): Steps<Family[]> {
  const origins = current.some(({ from }) => from !== null) ? yield* termsOf('origin') : [];
  const families: Family[] = [];
  for (const { from, organization, block } of current) {
    if (from === null) {
      const of = organization === null ? [0] : yield* numbersOf('organization', organization);
      families.push({ column: 'block', numbers: yield* numbersOf('block', block), rows: `x.origin = 0 AND x.organization IN (${list(of)})` });
      continue;
    }
    const own = unversioned(from);
    const numbers = origins.filter(({ value }) => unversioned(value) === own).map(({ id }) => id);
    families.push({ column: 'origin', numbers, rows: 'true' });
  }
  return families;
} // prettier-ignore

function* numbersOf(kind: 'organization' | 'block', value: string): Steps<number[]> {
  const rows = yield* ask<{ id: number }>('SELECT id FROM terms WHERE kind = ? AND value = ?', [kind, value]);
  return rows.map(({ id }) => id);
}

const unversioned = (from: string): string => from.replace(/:[^:/]*$/, '');

interface Parts {
  families: readonly Family[];
  selection: Selection;
}

/** The releases that each family has at all and that are higher, the highest first. */
function* higher(current: readonly Named[], { families, selection }: Parts): Steps<Candidate[][]> {
  const actions = selection.actions ?? [0];
  const seen = current.map(() => new Set<number>());
  for (const column of ['origin', 'block'] as const) {
    const heads = families.flatMap((family, look) =>
      family.column === column ? family.numbers.flatMap((number) => actions.map((action) => `(${list([look, action, number])})`)) : [],
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
    for (const { look, release } of rows) seen[look]!.add(release);
  }
  const releases = yield* releasesOf([...new Set(seen.flatMap((own) => [...own]))]);
  return current.map(({ version }, look) => {
    if (version === null) return [];
    const own = [...seen[look]!].flatMap((release): Candidate[] => {
      const [other, app_version] = releases.get(release) ?? [null, null];
      return other !== null && compareVersions(other, version) > 0 ? [{ look, release, version: other, app_version }] : [];
    });
    return own.sort((a, b) => compareVersions(b.version, a.version) || a.release - b.release);
  });
} // prettier-ignore

type Release = [version: string | null, app_version: string | null];

function* releasesOf(numbers: readonly number[]): Steps<Map<number, Release>> {
  if (numbers.length === 0) return new Map();
  const rows = yield* ask<{ id: number; value: string }>(`SELECT id, value FROM terms WHERE id IN (${list(numbers)})`);
  return new Map(rows.map(({ id, value }) => [id, JSON.parse(value) as Release]));
} // prettier-ignore

/** Where candidates succeeded, of those that did; their order is kept. */
function* places(candidates: readonly Candidate[], { families, selection }: Parts): Steps<[Candidate, string][]> {
  const actions = list(selection.actions ?? [0]);
  const seen = selection.places ? ` AND x.place IN (${list(selection.places)})` : '';
  const looks = candidates.map(({ look, release }, n) => {
    const { column, numbers, rows } = families[look]!;
    return `SELECT ${n} AS n, (SELECT x.place FROM unit_spans x WHERE x.action IN (${actions}) AND x.${column} IN (${list(numbers)})
      AND x.release = ${list([release])} AND ${rows}${seen} AND x.first_success IS NOT NULL ORDER BY x.place LIMIT 1) AS place`;
  });
  if (looks.length === 0) return [];
  const rows = yield* ask<{ n: number; value: string }>(
    `SELECT l.n AS n, t.value AS value FROM (${looks.join(' UNION ALL ')}) AS l JOIN terms t ON t.id = l.place ORDER BY l.n`,
  );
  return rows.map(({ n, value }) => [candidates[n]!, value]);
} // prettier-ignore
