import { keyOf, type Identity } from '../../access/identity.ts';
import type { ForeignRecord, ForeignRun } from '../../ledger/mirror.ts';
import type { MirroredRow } from '../../ledger/mirrored-row.ts';
import { runOf } from '../../ledger/mirrored-run.ts';
import type { RunAlias } from '../../runs/action-run.ts';

/** What was reported of a run last, and where the row lies that says so. */
export interface Told {
  run_id: string;
  foreign_id: string;
  place: Pick<MirroredRow, 'seq' | 'position'>;
  identifiers: readonly RunAlias[];
  record: ForeignRecord;
}

export function toldOf(row: MirroredRow): Told {
  const { run_id, foreign_id, seq, position } = row;
  const { id: _, aliases: __, source: ___, ...record } = runOf(row);
  const { aliases: identifiers = [] } = JSON.parse(row.facts) as { aliases?: RunAlias[] };
  return { run_id, foreign_id, place: { seq, position }, identifiers, record };
}

export function isReportedBy({ record }: Told, { principal }: Pick<Identity, 'principal'>): boolean {
  const reporter = record.principal;
  return reporter !== null && keyOf(reporter) === keyOf(principal);
}

/** The row of the same id that comes after this one, and after no other. */
export function rewritten(told: Told, record: ForeignRecord, further: readonly RunAlias[] = []): ForeignRun {
  const known = new Set(told.identifiers.map(({ id }) => id));
  const identifiers = [...told.identifiers, ...further.filter(({ id }) => !known.has(id))];
  return { id: told.foreign_id, identifiers, record, only_if: { after: told.place } };
}

/** Starts whose finish is awaited, of more the newest: a finish that comes here need not look for its start. */
export interface OpenReports {
  keep(told: Told): void;
  /** What may have been rewritten since, which `only_if` of the next row tells. */
  take(run_id: string): Told | null;
}

const MOST_OPEN = 5_000;

export function createOpenReports(): OpenReports {
  const open = new Map<string, Told>();
  return {
    keep(told) {
      if (open.size >= MOST_OPEN) open.delete(open.keys().next().value!);
      open.set(told.run_id, told);
    },
    take(run_id) {
      const told = open.get(run_id) ?? null;
      open.delete(run_id);
      return told;
    },
  };
}
