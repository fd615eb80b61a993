import type { KnownRuns } from './known-runs.ts';
import type { ForeignRecord, RefusedRow, RowCondition } from './mirror.ts';
import type { MirroredRow } from './mirrored-row.ts';

interface Asked {
  condition: RowCondition | undefined;
  record: Pick<ForeignRecord, 'organization' | 'workspace' | 'block'>;
  /** The row that counts now. */
  current: MirroredRow | null;
}

/** Null: the row may be stored. */
export function refusalOf(
  { condition, record, current }: Asked,
  runs: KnownRuns,
): Omit<RefusedRow, 'row'> | null {
  if (!condition) return null;
  if (condition.after !== undefined && !isSame(condition.after, current)) {
    return { why: 'stale', run_id: current?.run_id ?? null };
  }
  if (condition.alone !== true) return null;
  const open = runs.openOf(record, current?.run_id ?? null);
  return open === null ? null : { why: 'active', run_id: open };
}

function isSame(seen: NonNullable<RowCondition['after']> | null, current: MirroredRow | null): boolean {
  return seen === null || current === null
    ? seen === current
    : seen.seq === current.seq && seen.position === current.position;
}
