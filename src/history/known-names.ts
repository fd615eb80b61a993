import { closest, parseBlockRef, withoutHost } from '../shared/names.ts';
import { AppError } from '../shared/errors.ts';
import type { NameColumn, NamedThing, RunFilters, RunHistory } from './search.ts';

/** Candidates for a suggestion; with more names than this the closest of the first ones is good enough. */
const MOST_NAMES = 20_000;

const CHECKED = [
  'organization', 'workspace', 'environment', 'block', 'block_version', 'action', 'user', 'host', 'client',
] as const; // prettier-ignore

type Names = Pick<RunHistory, 'names' | 'missing'>;

/** Names that exist although no run has them yet. */
export type Declared = (column: NameColumn) => Promise<readonly string[]>;

/**
 * Refuses names that neither history nor the workspaces on disk know, so that an empty answer never hides a
 * typing error.
 */
export async function checkKnownNames(history: Names, filters: RunFilters, declared: Declared): Promise<void> {
  const wanted = CHECKED.flatMap((column) => namesOf(filters[column]).map((name) => ({ column, name })));
  if (filters.from !== undefined) await checkOrigin(history, filters.from, declared);
  if (wanted.length === 0) return;
  for (const { column, name } of await history.missing(wanted)) {
    const known = await declared(column);
    if (!known.includes(name)) throw await unknownName(history, { column, name }, known);
  }
} // prettier-ignore

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

async function checkOrigin(history: Names, from: string, declared: Declared): Promise<void> {
  const known = [...(await history.names('origin', MOST_NAMES)), ...(await declared('origin'))];
  if (known.some((reference) => isMadeFrom(reference, from))) return;
  const shapes = known.flatMap((reference) => [reference, withoutHost(reference)].flatMap((one) => [one, parseBlockRef(one).name]));
  throw new AppError('unknown_name', `no recorded run and no workspace has a block made from "${from}"`, {
    valid: closest(from, [...new Set(shapes)]),
    next: 'repeat the call with one of these, or without from',
  });
} // prettier-ignore

/** A reference is found with or without the parts before its last one, and with or without its version. */
export function isMadeFrom(reference: string, wanted: string): boolean {
  return [reference, parseBlockRef(reference).name].some(
    (shape) => shape === wanted || shape.endsWith(`/${wanted}`),
  );
}

/** A workspace's bare name must fit one organization, or one of those that were named with it. */
export async function checkWorkspaceNames(
  history: Names,
  { workspace, organization }: Pick<RunFilters, 'workspace' | 'organization'>,
  declared: Declared,
): Promise<void> {
  if (!workspace) return;
  const addresses = [...new Set([...(await history.names('address', MOST_NAMES)), ...(await declared('address'))])];
  for (const name of workspace) {
    if (addresses.includes(name)) continue;
    // An address is split at its first slash: an organization has none, while a name may.
    const fits = addresses.filter((address) => address.slice(address.indexOf('/') + 1) === name).sort();
    if (organization === undefined && fits.length > 1) {
      throw new AppError('ambiguous_name', `workspace "${name}" is in ${fits.length} organizations`, {
        valid: fits,
        next: 'repeat the call with one of these, with a list of several, or with organization',
      });
    }
    const inside = fits.some((address) => organization?.includes(address.slice(0, address.indexOf('/'))));
    if (organization !== undefined && fits.length > 0 && !inside) {
      throw new AppError('unknown_name', `workspace "${name}" is not in ${organization.join(' or ')}`, {
        valid: fits,
        next: 'repeat the call with one of these and without organization',
      });
    }
  }
} // prettier-ignore

/**
 * Blocks as runs name them: a known name as it is, `name:version` as name and version, and a name without registry
 * host where that fits only one. The version is one for all of them, because the filter of versions is.
 */
export async function blocksAsRecorded(
  history: Names,
  { block, block_version }: Pick<RunFilters, 'block' | 'block_version'>,
  declared: Declared,
): Promise<Pick<RunFilters, 'block' | 'block_version'>> {
  if (!block) return block_version === undefined ? {} : { block_version };
  const unknown = (await history.missing(block.map((name) => ({ column: 'block', name })))).map(({ name }) => name);
  if (unknown.length === 0) return { block, ...(block_version !== undefined && { block_version }) };
  const known = [...(await history.names('block', MOST_NAMES)), ...(await declared('block'))];
  const versions = new Set<string>(block_version === undefined ? [] : [block_version]);
  const found = block.map((name) => {
    if (!unknown.includes(name) || known.includes(name)) return name;
    const reference = parseBlockRef(name);
    const full = fullName(reference.name, known);
    if (full === null) return name;
    if (reference.version !== null) versions.add(reference.version);
    return full;
  });
  if (versions.size > 1) {
    throw new AppError('invalid_argument', `a question takes one block version, not ${[...versions].join(' and ')}`, {
      next: 'ask once for each version',
    });
  }
  const [version] = versions;
  return { block: [...new Set(found)], ...(version !== undefined && { block_version: version }) };
} // prettier-ignore

function fullName(name: string, known: readonly string[]): string | null {
  if (known.includes(name)) return name;
  const fits = [...new Set(known.filter((candidate) => withoutHost(candidate) === withoutHost(name)))];
  if (fits.length <= 1) return fits[0] ?? null;
  throw new AppError('ambiguous_name', `block "${name}" fits ${fits.length} blocks`, {
    valid: fits.sort(),
    next: 'repeat the call with one of these, or with a list of several',
  });
}
