import { closest } from '../shared/names.ts';
import { AppError } from '../shared/errors.ts';
import type { NameColumn, NamedThing, RunFilters, RunHistory } from './search.ts';

/** Candidates for a suggestion; with more names than this the closest of the first ones is good enough. */
const MOST_NAMES = 20_000;

const CHECKED = [
  'organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'user', 'host', 'client',
] as const; // prettier-ignore

/**
 * Refuses names that neither history nor the workspaces on disk know, so that an empty answer never hides a
 * typing error. `declared`: names that exist although no run has them yet.
 */
export async function checkKnownNames(
  history: Pick<RunHistory, 'names' | 'missing'>,
  filters: RunFilters,
  declared: (column: NameColumn) => Promise<readonly string[]>,
): Promise<void> {
  const wanted = CHECKED.flatMap((column) => namesOf(filters[column]).map((name) => ({ column, name })));
  if (wanted.length === 0) return;
  for (const { column, name } of await history.missing(wanted)) {
    const known = await declared(column);
    if (!known.includes(name)) throw await unknownName(history, { column, name }, known);
  }
}

function namesOf(filter: string | readonly string[] | undefined): readonly string[] {
  if (filter === undefined) return [];
  return typeof filter === 'string' ? [filter] : filter;
}

async function unknownName(
  history: Pick<RunHistory, 'names'>,
  { column, name }: NamedThing,
  declared: readonly string[],
): Promise<AppError> {
  const recorded = await history.names(column, MOST_NAMES);
  const addresses = column === 'workspace' ? await history.names('address', MOST_NAMES) : [];
  const all = [...new Set([...recorded, ...addresses, ...declared])];
  return new AppError(
    'unknown_name',
    `${column} "${name}" appears in no recorded run${declared.length > 0 ? ' and in no workspace' : ''}`,
    {
      valid: closest(name, all),
      next: `repeat the call with one of these, or without ${column}`,
    },
  );
}
