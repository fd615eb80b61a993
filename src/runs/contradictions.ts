import type { ActionRun } from './action-run.ts';

/** Clocks of two machines, and what lies between two reports of one run. */
export const SAME_MOMENT_MS = 5_000;

/** What others said of the end before it came contradicts nothing if it came like that. In place. */
export function settleContradictions(run: ActionRun): void {
  const left = run.contradictions?.filter(({ field, says }) => {
    if (field !== 'status' && field !== 'exit_code' && field !== 'finished_at') return true;
    const own = run[field] ?? null;
    if (own === null) return false;
    return field === 'finished_at' ? Math.abs(Number(says) - Number(own)) > SAME_MOMENT_MS : says !== own;
  });
  if (left?.length === 0) delete run.contradictions;
  else if (left) run.contradictions = left;
}
