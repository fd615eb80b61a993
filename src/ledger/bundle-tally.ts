import type { ActionRun } from '../runs/action-run.ts';
import type { BundleCounts } from './bundle.ts';
import type { BundledRun } from './bundled-run.ts';

/** Counts the runs of a bundle, the same way for who writes and who checks it. */
export function createTally(): { counts: BundleCounts; add(run: BundledRun): void } {
  const counts: BundleCounts = {
    runs: 0,
    events: 0,
    private_values: 0,
    withheld: 0,
    launched: 0,
    workflows: 0,
    status: {},
  };
  return {
    counts,
    add({ record, events }) {
      const { status, launched, kind } = record as unknown as ActionRun;
      counts.runs += 1;
      counts.events += events.length;
      if (launched) counts.launched += 1;
      if (kind === 'workflow') counts.workflows += 1;
      counts.status[status] = (counts.status[status] ?? 0) + 1;
      for (const event of events) {
        const committed = Object.keys(JSON.parse(event.commitments) as object).length;
        counts.private_values += event.private.length;
        counts.withheld += committed - event.private.length;
      }
    },
  };
}
