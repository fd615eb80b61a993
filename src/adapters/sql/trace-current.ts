import { MOST_CURRENT, type CurrentVersion, type TracePage } from '../../history/versions.ts';
import type { ActionRun } from '../../runs/action-run.ts';
import { behindOf } from './behind.ts';
import { SUCCESS } from './spans.ts';
import { ask, list, type Steps } from './steps.ts';
import { arrived, groundOf, others, runOf, succeeded, type Arrived, type Traced } from './traced.ts';
import { ends, inState, recordsOf, type Seen } from './unit-runs.ts';
import { groundsWithSuccess, namesOf, versionsOf, type Asked, type Ground, type Selection } from './units.ts';
import { placeOf } from './where.ts';

/** Which version succeeded last in each workspace that the question is about. */
export function* currentOf(asked: readonly Asked[], selection: Selection): Steps<Pick<TracePage, 'current' | 'total_current'>> {
  const unsure = asked.filter(({ succeeded }) => !succeeded);
  const sure = asked.filter(({ succeeded }) => succeeded);
  const grounds = yield* inOrder([...sure, ...(yield* groundsWithSuccess(unsure, selection))]);
  const shown = yield* versionsOf(grounds.slice(0, MOST_CURRENT), { ...selection, there: 'true' });
  const traced: Traced = { grounds: new Map(shown.map((all) => [groundOf(all[0]!), all.map(arrived)])), selection };
  const versions = [...traced.grounds.values()].flat().filter(succeeded);
  const lasts = yield* ends(versions.map(({ all }) => ({ units: all })), { end: 'last', actions: selection.actions });
  const newest = new Map<string, { one: Arrived; last: Seen }>();
  for (const [n, one] of versions.entries()) {
    const [last, ground] = [lasts[n]!, groundOf(one)];
    if (last.start > (newest.get(ground)?.last.start ?? -Infinity)) newest.set(ground, { one, last });
  }
  return { current: yield* told([...newest.values()], traced), total_current: grounds.length };
} // prettier-ignore

/** By organization, workspace and block. */
function* inOrder(grounds: readonly Ground[]): Steps<Ground[]> {
  const terms = yield* termsOf([...new Set(grounds.flatMap(({ place, block }) => [place, block]))]);
  const spots = ranked(terms, grounds.map(({ place }) => place), (value) => {
    const { organization, workspace } = placeOf(value);
    return `${JSON.stringify(organization)},${JSON.stringify(workspace)}`;
  });
  const blocks = ranked(terms, grounds.map(({ block }) => block), (value) => JSON.stringify(value));
  const placed = grounds.map((ground) => ({ ground, rank: spots.get(ground.place)! * blocks.size + blocks.get(ground.block)! }));
  return placed.sort((a, b) => a.rank - b.rank).map(({ ground }) => ground);
} // prettier-ignore

function ranked(terms: ReadonlyMap<number, string>, numbers: readonly number[], name: (value: string) => string): Map<number, number> {
  const named = [...new Set(numbers)].map((number) => ({ number, name: name(terms.get(number)!) }));
  named.sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map(named.map(({ number }, rank) => [number, rank]));
} // prettier-ignore

function* termsOf(numbers: readonly number[]): Steps<Map<number, string>> {
  const terms = new Map<number, string>();
  for (let from = 0; from < numbers.length; from += BATCH) {
    const rows = yield* ask<{ id: number; value: string }>(
      `SELECT id, value FROM terms WHERE id IN (${list(numbers.slice(from, from + BATCH))})`,
    );
    for (const { id, value } of rows) terms.set(id, value);
  }
  return terms;
}

const BATCH = 5_000;

function* told(found: readonly { one: Arrived; last: Seen }[], traced: Traced): Steps<CurrentVersion[]> {
  const { actions } = traced.selection;
  const rest = found.map(({ one, last }) => ({
    units: others(traced, one).flatMap(({ all }) => all),
    before: last.start,
  }));
  const before = yield* ends(rest, { end: 'last', actions });
  const own = found.map(({ one }, n) => ({ units: one.all, after: before[n]?.start }));
  const begun = yield* ends(own, { end: 'first', actions });
  const lasts = found.map(({ last }) => last);
  const records = yield* recordsOf(
    lasts.map((last) => inState(last, SUCCESS)),
    actions,
  );
  const names = yield* namesOf(lasts.map(({ unit }) => unit));
  const behind = yield* behindOf(lasts.map(({ unit }) => names.get(unit)!), traced.selection); // prettier-ignore
  return lasts.map(({ start, unit }, n) => {
    const { from: _, ...name } = names.get(unit)!;
    const run = runOf(records[n]!) as ActionRun;
    return { ...name, since: begun[n]!.start, last: start, run_id: run.id, behind: behind[n]! };
  });
}
