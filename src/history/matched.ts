import type { ActionRun } from '../runs/action-run.ts';
import type { RunFilters } from './search.ts';

/** For each name that was asked for: which fields of these runs have it, with how many runs. */
export type Matched = Record<string, Record<string, number>>;

/** Where a filter looks at several fields of a run, which of them it was. */
export function matchedOf(
  runs: readonly ActionRun[],
  { user, block_version }: RunFilters,
): Record<string, Matched> {
  return {
    ...(user && { user: tally(runs, user, peopleFields, (text) => text.toLowerCase()) }),
    ...(block_version !== undefined && {
      block_version: tally(runs, [block_version], versionFields, (text) => text),
    }),
  };
}

type Fields = (run: ActionRun) => Record<string, string | null | undefined>;

const peopleFields: Fields = ({ principal, os_user, claimed_principal }) => ({
  person: principal?.display,
  principal: principal?.subject,
  os_user,
  claimed_person: claimed_principal?.display,
  claimed_principal: claimed_principal?.subject,
});
const versionFields: Fields = ({ block_version, app_version }) => ({ block_version, app_version });

function tally(
  runs: readonly ActionRun[],
  wanted: readonly string[],
  fieldsOf: Fields,
  fold: (text: string) => string,
): Matched {
  const found: Matched = Object.fromEntries(wanted.map((name) => [name, {}]));
  for (const run of runs) {
    for (const [field, value] of Object.entries(fieldsOf(run))) {
      const counts = typeof value === 'string' && Object.hasOwn(found, fold(value)) ? found[fold(value)] : undefined;
      if (counts) counts[field] = (counts[field] ?? 0) + 1;
    }
  }
  return found;
} // prettier-ignore
