import type { NameColumn, NamedThing } from '../../history/search.ts';
import { sees, type Scope } from '../../access/identity.ts';
import { countRows, spanOf } from './counts.ts';
import type { TermColumn } from './narrow.ts';
import { page } from './page.ts';
import { ask, type Dialect, type Steps } from './steps.ts';
import { visible } from './visible.ts';
import { addressOf, namesIn, placeOf } from './where.ts';

export interface Term {
  id: number;
  value: string;
}

/** All terms of a kind: of those that people and machines name there are thousands, not millions. */
export function termsOf(kind: TermColumn): Steps<Term[]> {
  return ask<Term>('SELECT id, value FROM terms WHERE kind = ?', [kind]);
}

type Look = { kind: TermColumn; names: (value: string) => (string | null)[] };

const itself = (value: string): string[] => [value];

/** Where the names of each column are. */
const LOOKS: Record<NameColumn, Look> = {
  organization: { kind: 'organization', names: itself },
  workspace: { kind: 'place', names: (value) => [(JSON.parse(value) as [string | null, string])[1]] },
  address: { kind: 'place', names: (value) => [addressOf(...(JSON.parse(value) as [string | null, string]))] },
  environment: { kind: 'environment', names: itself },
  block: { kind: 'block', names: itself },
  // The filter takes either.
  origin: { kind: 'origin', names: itself },
  block_version: { kind: 'release', names: (value) => JSON.parse(value) as (string | null)[] },
  action: { kind: 'action', names: itself },
  user: { kind: 'crew', names: namesIn },
  host: { kind: 'host', names: itself },
  client: { kind: 'client', names: itself },
}; // prettier-ignore

/** Where it is for who sees only some places: an organization is known by its places. */
function lookOf(column: NameColumn, scope: Scope): Look {
  if (scope === null || column !== 'organization') return LOOKS[column];
  return { kind: 'place', names: (value) => [placeOf(value).organization] };
}

export function* names(
  column: NameColumn,
  { limit, dialect, scope }: { limit: number; dialect: Dialect; scope: Scope },
): Steps<string[]> {
  const { kind, names: namesOf } = lookOf(column, scope);
  const found = new Set<string>();
  for (const { value } of yield* termsSeen(kind, dialect, scope)) for (const name of namesOf(value)) if (name !== null) found.add(name);
  return [...found].sort().slice(0, limit);
} // prettier-ignore

/** The terms of a kind that runs of the scope have. */
function* termsSeen(kind: TermColumn, dialect: Dialect, scope: Scope): Steps<Term[]> {
  const terms = yield* termsOf(kind);
  if (scope === null) return terms;
  if (kind === 'place') return terms.filter(({ value }) => sees(scope, placeOf(value)));
  const where = yield* visible(dialect, scope);
  const rows = yield* countRows(where, { by: [kind], slices: [spanOf(where.span)] });
  const numbers = new Set(rows.map(({ key }) => key[0]!));
  return terms.filter(({ id }) => numbers.has(id));
}

export function* missing(
  wanted: readonly NamedThing[],
  { dialect, scope }: { dialect: Dialect; scope: Scope },
): Steps<NamedThing[]> {
  const absent: NamedThing[] = [];
  for (const thing of wanted) if (!(yield* isKnown(thing, dialect, scope))) absent.push(thing);
  return absent;
}

function* isKnown(thing: NamedThing, dialect: Dialect, scope: Scope): Steps<boolean> {
  const { kind } = lookOf(thing.column, scope);
  const terms = yield* termsNamed(thing, dialect, scope);
  if (terms.length === 0 || scope === null) return terms.length > 0;
  if (kind === 'place') return terms.some(({ value }) => sees(scope, placeOf(value)));
  const where = yield* visible(dialect, scope);
  const columns = new Map([...where.columns, [kind, terms.map(({ id }) => id)] as const]);
  return (yield* page({ order: 'newest', limit: 1, after: null }, { ...where, columns })).length > 0;
}

function* termsNamed(
  { column, name }: NamedThing,
  { spell, position }: Dialect,
  scope: Scope,
): Steps<Term[]> {
  const { kind, names: namesOf } = lookOf(column, scope);
  const right = column === 'user' ? spell(name).toLowerCase() : spell(name);
  if (namesOf === itself) {
    return yield* ask<Term>('SELECT id, value FROM terms WHERE kind = ? AND value = ?', [kind, right]);
  }
  const looks = column === 'workspace' ? [LOOKS.workspace, LOOKS.address] : [lookOf(column, scope)];
  // The database looks at the text first: whatever has the name ends a member with what stands behind its first slash.
  const end = JSON.stringify(right.slice(right.indexOf('/') + 1)).slice(1);
  const terms = yield* ask<Term>(`SELECT id, value FROM terms WHERE kind = ? AND ${position}(value, ?) > 0`, [
    kind,
    end,
  ]);
  return terms.filter(({ value }) => looks.some((look) => look.names(value).includes(right)));
}
