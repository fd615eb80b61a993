import type { ActionRun } from '../../runs/action-run.ts';
import type { Steps } from './steps.ts';
import { groundOf } from './traced.ts';
import { ends, inState, recordsOf } from './unit-runs.ts';
import { versionsOf, type Ground, type Unit } from './units.ts';

const EVERYTHING = {
  actions: null,
  fits: 'true',
  there: 'true',
  near: 'true',
  beside: 'true',
  varying: [],
  places: null,
};

/** For each run the launched one before it, of the same block in the same workspace: whoever sees the run sees that, too. */
export function* previousOf(runs: readonly (Ground & { start: number })[]): Steps<(ActionRun | null)[]> {
  const grounds = new Map(runs.map((run) => [groundOf(run), run as Ground]));
  const versions = yield* versionsOf([...grounds.values()], EVERYTHING);
  const units = new Map<string, Unit[]>();
  for (const [n, ground] of [...grounds.keys()].entries()) units.set(ground, versions[n]!.flatMap((one) => one.units));
  const looks = runs.map((run) => ({ units: units.get(groundOf(run))!, before: run.start }));
  const newest = yield* ends(looks, { end: 'last', state: 'any', actions: null });
  const records = yield* recordsOf(newest.map((seen) => inState(seen, 'any')), null);
  return records.map((record) => (record === null ? null : (JSON.parse(record) as ActionRun)));
} // prettier-ignore
