import { closest } from '../shared/names.ts';
import { AppError } from '../shared/errors.ts';
import type { NameColumn, RunFilters, RunHistory } from './search.ts';

/** More distinct names than this are not compared: the question is then answered as it stands. */
const MOST_NAMES = 20_000;

const CHECKED = [
  'organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'user', 'host', 'client',
] as const; // prettier-ignore

/**
 * Refuses names that neither history nor the workspaces on disk know, so that an empty answer never hides a
 * typing error. `declared`: names that exist although no run has them yet.
 */
export async function checkKnownNames(
  history: Pick<RunHistory, 'names'>,
  filters: RunFilters,
  declared: (column: NameColumn) => Promise<readonly string[]>,
): Promise<void> {
  for (const column of CHECKED) {
    const filter = filters[column];
    if (filter === undefined) continue;
    const wanted = typeof filter === 'string' ? [filter] : filter;
    const recorded = await history.names(column, MOST_NAMES);
    if (column === 'workspace') recorded.push(...(await history.names('address', MOST_NAMES)));
    if (recorded.length >= MOST_NAMES) continue;
    const known = new Set(recorded.map(fold(column)));
    const missing = wanted.filter((name) => !known.has(fold(column)(name)));
    if (missing.length > 0)
      await refuseUndeclared(column, missing, { recorded, declared: await declared(column) });
  }
}

function fold(column: NameColumn): (name: string) => string {
  return column === 'user' ? (name) => name.toLowerCase() : (name) => name;
}

async function refuseUndeclared(
  column: NameColumn,
  missing: readonly string[],
  { recorded, declared }: { recorded: readonly string[]; declared: readonly string[] },
): Promise<void> {
  const unknown = missing.find((name) => !declared.includes(name));
  if (unknown === undefined) return;
  const all = [...new Set([...recorded, ...declared])];
  throw new AppError(
    'unknown_name',
    `${column} "${unknown}" appears in no recorded run${declared.length > 0 ? ' and in no workspace' : ''}`,
    {
      valid: closest(unknown, all),
      next: `repeat the call with one of these, or without ${column}`,
    },
  );
}
