import type { StoredEvent } from '../../src/ledger/chain.ts';

/** Another value for each column of an event but its number. */
export const COLUMNS: readonly { column: string; other(event: StoredEvent): string | number }[] = [
  { column: 'at', other: ({ at }) => at + 1 },
  { column: 'kind', other: ({ kind }) => (kind === 'run_started' ? 'run_adopted' : 'run_started') },
  { column: 'run_id', other: ({ run_id }) => (run_id === '' ? '0' : `${run_id.slice(0, -1)}${run_id.endsWith('0') ? '1' : '0'}`) },
  { column: 'facts', other: ({ facts }) => (facts === '{}' ? '{"status":"success"}' : facts.replace(/"([^"]+)":/, '"x$1":')) },
  { column: 'commitments', other: ({ commitments }) => (commitments === '{}' ? '{"reason":"00"}' : '{}') },
  { column: 'prev', other: ({ prev }) => flipped(prev) },
  { column: 'hash', other: ({ hash }) => flipped(hash) },
]; // prettier-ignore

/** Each member of facts and commitments, changed alone. */
export function memberChanges(event: StoredEvent): { column: 'facts' | 'commitments'; value: string }[] {
  return (['facts', 'commitments'] as const).flatMap((column) => {
    const members = JSON.parse(event[column]) as Record<string, unknown>;
    return Object.keys(members).map((name) => ({
      column,
      value: JSON.stringify({ ...members, [name]: different(members[name]) }),
    }));
  });
}

function flipped(hash: string): string {
  return `${hash.startsWith('f') ? 'e' : 'f'}${hash.slice(1)}`;
}

function different(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return value === null ? 'forged' : null;
}
