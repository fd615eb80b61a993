import { existsSync } from 'node:fs';
import type { Records } from '../../history/records.ts';
import { isOpen, type ActionRun } from '../../runs/action-run.ts';
import type { Beside } from './beside.ts';

/** The ledger of this machine that stands in for the database. Most data folders never get one. */
export interface Journal {
  records: Records;
  /** Somebody has written to it. */
  isThere(): boolean;
  /** A run of exactly this id is in it, merged or not. */
  has(run_id: string): Promise<boolean>;
  /** A step of a workflow in it has this id, whether it was started or not. */
  names(run_id: string): Promise<boolean>;
  /** Its runs that the database does not have yet. */
  unmerged(): Promise<ActionRun[]>;
}

export function createJournal({ records, file, beside }: { records: Records; file: string; beside: Beside }): Journal {
  let there = false;
  const isThere = (): boolean => (there ||= existsSync(file));
  const unmerged = async (): Promise<ActionRun[]> => {
    if (!isThere()) return [];
    const merged = new Set((await beside.merges.read()).merged);
    return (await allRuns(records)).filter(({ id }) => !merged.has(id));
  };
  return {
    records,
    isThere,
    has: async (run_id) => isThere() && (await records.ledger.find(run_id))?.id === run_id,
    names: async (id) => (await unmerged()).some(({ steps }) => steps?.some(({ run_id }) => run_id === id)),
    unmerged,
  };
} // prettier-ignore

const PAGE = 200;

async function allRuns({ history }: Records): Promise<ActionRun[]> {
  const all = new Map<string, ActionRun>();
  let after: { value: number; id: string } | null = null;
  do {
    const page = await history.search({
      filters: { span: { since: null, until: null }, time_field: 'started' },
      ...{ include_excluded: true, order: 'oldest', limit: PAGE, after },
    });
    for (const run of page.runs) all.set(run.id, run);
    after = page.next;
  } while (after);
  return [...all.values()];
}

export function countOpen(runs: readonly ActionRun[]): number {
  return runs.filter(isOpen).length;
}
