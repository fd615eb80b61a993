import { TIME_GROUPS, type GroupKey, type SummaryQuery, type TimeGroup } from '../../history/summary.ts';
import type { CountRow } from './counts.ts';
import { statusOf, type TermColumn } from './narrow.ts';
import { ask, list, type Steps } from './steps.ts';

const COLUMNS: Record<Exclude<GroupKey, TimeGroup | 'status'>, TermColumn> = {
  organization: 'organization', workspace: 'place', environment: 'environment', block: 'block',
  block_version: 'release', action: 'action', user: 'crew', host: 'host', client: 'client', source: 'source',
}; // prettier-ignore

/** Which member of a tuple is the name. */
const MEMBERS: Partial<Record<TermColumn, number>> = { place: 1, release: 0, crew: 0 };

/** The columns to group by; states and slices are told apart anyhow. */
export function columnsOf(group_by: readonly GroupKey[]): TermColumn[] {
  return group_by.flatMap((key) => (key in COLUMNS ? [COLUMNS[key as keyof typeof COLUMNS]] : []));
}

/** The names that stand behind the numbers of each column. */
export type Labels = ReadonlyMap<TermColumn, ReadonlyMap<number, string | null>>;

const BATCH = 5_000;

export function* labelsOf(group_by: readonly GroupKey[], rows: readonly CountRow[]): Steps<Labels> {
  const labels = new Map<TermColumn, Map<number, string | null>>();
  for (const [n, column] of columnsOf(group_by).entries()) {
    const numbers = [...new Set(rows.map(({ key }) => key[n]!))].filter((id) => id !== 0);
    const names = new Map<number, string | null>([[0, null]]);
    for (let from = 0; from < numbers.length; from += BATCH) {
      const batch = list(numbers.slice(from, from + BATCH));
      const terms = yield* ask<{ id: number; value: string }>(
        `SELECT id, value FROM terms WHERE id IN (${batch})`,
      );
      for (const { id, value } of terms) names.set(id, nameOf(column, value));
    }
    labels.set(column, names);
  }
  return labels;
}

function nameOf(column: TermColumn, value: string): string | null {
  const member = MEMBERS[column];
  return member === undefined ? value : (JSON.parse(value) as (string | null)[])[member]!;
}

/** What a row's group is called. */
export function keyOf(
  row: Pick<CountRow, 'key' | 'state' | 'slice'>,
  { query, labels }: { query: SummaryQuery; labels: Labels },
): (string | null)[] {
  let n = 0;
  return query.group_by.map((key) => {
    if (key === 'status') return statusOf(row.state);
    if ((TIME_GROUPS as readonly string[]).includes(key)) return query.slices![row.slice]!.label;
    const column = COLUMNS[key as keyof typeof COLUMNS];
    return labels.get(column)?.get(row.key[n++]!) ?? null;
  });
}
