import type { RunFilters, TimeSpan } from '../../history/search.ts';
import { sees, type Place, type Scope } from '../../access/identity.ts';
import { OPEN_STATES, statesOf, type TermColumn } from './narrow.ts';
import { ask, list, type Dialect, type Steps, type Value } from './steps.ts';
import { termsOf } from './terms.ts';
import { startsOf, wordsOf } from './words.ts';

/** A condition on rows of `narrow_runs`, under the name `c`. */
export interface Clause {
  text: string;
  values: readonly Value[];
}

/** A question's filters as numbers. */
export interface Where {
  /** False: some filter fits no run, so nothing does. */
  possible: boolean;
  /** Numbers of terms, one of which a run must have in that column. What counts of cubes can answer. */
  columns: ReadonlyMap<TermColumn, readonly number[]>;
  /** Null: any. */
  states: readonly number[] | null;
  /** What only the runs themselves can answer. */
  clauses: readonly Clause[];
  /** Of the start; what cubes are cut by. */
  span: TimeSpan;
  /** A clause leads to few runs by their starts. */
  few: boolean;
}

/** `scope`: what exists for whoever asks. */
export function* resolve(filters: RunFilters, dialect: Dialect, scope: Scope): Steps<Where> {
  const { spell } = dialect;
  const columns = new Map<TermColumn, readonly number[]>();
  const exact = { organization: filters.organization, environment: filters.environment, block: filters.block,
    action: filters.action, host: filters.host, client: given(filters.client), source: given(filters.source) }; // prettier-ignore
  for (const [column, names] of Object.entries(exact) as [TermColumn, readonly string[] | undefined][]) {
    if (names) columns.set(column, yield* numbersOf(column, names.map(spell)));
  }
  if (filters.workspace || scope) {
    const names = { workspaces: filters.workspace?.map(spell), organizations: filters.organization?.map(spell) };
    columns.set('place', yield* placesOf(names, scope));
    // A place is of one organization.
    columns.delete('organization');
  }
  if (filters.block_version !== undefined) {
    const version = spell(filters.block_version);
    columns.set('release', yield* chosen('release', (value) => membersOf(value).includes(version)));
  }
  if (filters.from !== undefined) {
    const from = spell(filters.from);
    columns.set('origin', yield* chosen('origin', (value) => isMadeFrom(value, from)));
  }
  if (filters.user) columns.set('crew', yield* crewsOf(filters.user.map((name) => spell(name).toLowerCase()), dialect));
  const clauses: Clause[] = [];
  if (filters.exit_code) clauses.push({ text: `c.exit_code IN (${list(filters.exit_code)})`, values: [] });
  const words = filters.text === undefined ? null : yield* wordsOf(filters.text, dialect);
  if (words) clauses.push(words.clause);
  const timed = filters.time_field === 'started';
  if (!timed) clauses.push(...timeClauses(filters));
  const where = {
    possible: [...columns.values()].every((numbers) => numbers.length > 0) && (filters.text === undefined || words !== null),
    columns,
    states: filters.status ? filters.status.flatMap(statesOf) : null,
    clauses,
    // A run overlaps only if it began before the end.
    span: timed ? filters.span : { since: null, until: filters.time_field === 'overlaps' ? filters.span.until : null },
  };
  const starts = where.possible && words?.rare ? yield* startsOf(where, dialect) : null;
  return { ...where, clauses: starts ? [...clauses, starts] : clauses, few: starts !== null };
} // prettier-ignore

function given(value: string | undefined): string[] | undefined {
  return value === undefined || value === '' ? undefined : [value];
}

export function* numbersOf(kind: TermColumn, values: readonly string[]): Steps<number[]> {
  const marks = values.map(() => '?').join(', ');
  const rows = yield* ask<{ id: number }>(`SELECT id FROM terms WHERE kind = ? AND value IN (${marks})`, [
    kind,
    ...values,
  ]);
  return rows.map(({ id }) => id);
}

export function* chosen(kind: TermColumn, fits: (value: string) => boolean): Steps<number[]> {
  const terms = yield* termsOf(kind);
  return terms.filter(({ value }) => fits(value)).map(({ id }) => id);
}

export function membersOf(value: string): (string | null)[] {
  return JSON.parse(value) as (string | null)[];
}

/** Names, or addresses `organization/name`. The organization's part may hold no slash but a name may. */
function placesOf(
  { workspaces, organizations }: { workspaces: string[] | undefined; organizations: string[] | undefined },
  scope: Scope,
): Steps<number[]> {
  return chosen('place', (value) => {
    const { organization, workspace } = placeOf(value);
    if (!sees(scope, { organization, workspace })) return false;
    if (organizations && (organization === null || !organizations.includes(organization))) return false;
    return !workspaces || workspaces.includes(workspace) || workspaces.includes(addressOf(organization, workspace));
  });
} // prettier-ignore

export function placeOf(value: string): Place {
  const [organization, workspace] = membersOf(value) as [string | null, string];
  return { organization, workspace };
}

export function addressOf(organization: string | null, workspace: string): string {
  return `${organization ?? '-'}/${workspace}`;
}

/** A `from` reference matches with or without the parts before its last one and with or without its version. */
export function isMadeFrom(reference: string, from: string): boolean {
  const parts = reference.split('/');
  const suffixes = parts.map((_, first) => parts.slice(first).join('/'));
  // What follows a version's colon holds no slash: that would be a port.
  return suffixes.some((suffix) => suffix === from || suffix.replace(/:[^:/]*$/, '') === from);
}

/** Crews are lists of `role name`; the database looks at their text first, which is enough for most of them. */
function* crewsOf(names: readonly string[], { position }: Dialect): Steps<number[]> {
  const wanted = new Set(names);
  const inText = names.map(() => `${position}(value, ?) > 0`).join(' OR ');
  const rows = yield* ask<{ id: number; value: string }>(
    `SELECT id, value FROM terms WHERE kind = 'crew' AND (${inText})`,
    names.map((name) => `${JSON.stringify(name).slice(1, -1)}"`),
  );
  return rows.filter(({ value }) => namesIn(value).some((name) => wanted.has(name))).map(({ id }) => id);
}

/** The names that a `user` filter finds a crew by. */
export function namesIn(crew: string): string[] {
  return membersOf(crew)
    .slice(1)
    .flatMap((entry) => (entry === null ? [] : [entry.slice(entry.indexOf(' ') + 1)]));
}

/** Half-open spans. `overlaps`: the run was going on at some instant of the span; of a closed run without an end only the start is known. */
function timeClauses({ span: { since, until }, time_field }: RunFilters): Where['clauses'] {
  if (time_field === 'overlaps') {
    if (since === null) return [];
    const text = `(c.finished_at > ? OR (c.finished_at IS NULL AND (c.start >= ? OR c.state IN (${OPEN_STATES}))))`;
    return [{ text, values: [since, since] }];
  }
  const column = time_field === 'finished' ? 'c.finished_at' : 'c.requested_at';
  return [
    ...(since === null ? [] : [{ text: `${column} >= ?`, values: [since] }]),
    ...(until === null ? [] : [{ text: `${column} < ?`, values: [until] }]),
  ];
}

/** The conditions on a run, with nothing about its start. */
export function conditionsOf({ columns, states, clauses }: Pick<Where, 'columns' | 'states' | 'clauses'>): {
  text: string;
  values: Value[];
} {
  const texts = [...columns].map(([column, numbers]) => `c.${column} IN (${list(numbers)})`);
  if (states) texts.push(`c.state IN (${list(states)})`);
  texts.push(...clauses.map(({ text }) => text));
  return {
    text: texts.map((text) => ` AND ${text}`).join(''),
    values: clauses.flatMap(({ values }) => values),
  };
}
