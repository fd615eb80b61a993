import type { History, StoryRun } from './history.ts';

/** Half-open, by the start of a run. */
export interface Span {
  since: number;
  until: number;
}

/**
 * Answers questions by looking at every run of the story, one after the other, without the product's queries.
 * What history counts: launched runs of kind `action`.
 */
export interface Oracle {
  runs(test: (run: StoryRun) => boolean, span?: Span): StoryRun[];
  uncounted(test: (run: StoryRun) => boolean, span?: Span): StoryRun[];
}

export function createOracle({ runs }: History): Oracle {
  const within = (span: Span | undefined) => (run: StoryRun) =>
    !span || (startOf(run) >= span.since && startOf(run) < span.until);
  const counts = (run: StoryRun): boolean => run.launched !== false && (run.kind ?? 'action') === 'action';
  return {
    runs: (test, span) => runs.filter((run) => counts(run) && within(span)(run) && test(run)),
    uncounted: (test, span) => runs.filter((run) => !counts(run) && within(span)(run) && test(run)),
  };
}

/** A run that never started is placed by its request. */
export function startOf(run: StoryRun): number {
  return run.launched === false ? run.requested_at : run.requested_at + (run.delay_ms ?? 0);
}

export function endOf(run: StoryRun): number {
  return startOf(run) + (run.duration_ms ?? 1_000);
}

export function durationOf(run: StoryRun): number {
  return run.duration_ms ?? 1_000;
}

/** The smallest value that at least that share of all is not above (nearest rank). */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
}
