import type { Scope } from '../../access/identity.ts';
import {
  MOST_RETURNS,
  type Return,
  type TracedVersion,
  type TracePage,
  type TraceQuery,
} from '../../history/versions.ts';
import { FAILED, SUCCESS } from './spans.ts';
import { arrived, groundOf, others, runOf, versionNamed, type Arrived, type Traced } from './traced.ts';
import { currentOf } from './trace-current.ts';
import { comebacksOf } from './trace-returns.ts';
import { newestAt, visible } from './visible.ts';
import type { Dialect, Steps } from './steps.ts';
import { ends, failures, inState, recordsOf, type Look } from './unit-runs.ts';
import { groundsAsked, namesOf, selectionOf, versionsOf, type Asked, type Selection } from './units.ts';
import { resolve } from './where.ts';

export function* trace(query: TraceQuery, dialect: Dialect, scope: Scope): Steps<TracePage> {
  const where = yield* resolve({ ...query.filters, span: query.span, time_field: 'started' }, dialect, scope);
  const places = scope && (yield* visible(dialect, scope)).columns.get('place')!;
  const selection = selectionOf(where, places);
  const asked = where.possible ? yield* groundsAsked(selection, dialect) : [];
  const { page, traced } = yield* pageOf(asked, { ...query, selection });
  const total = asked.reduce((sum, { versions }) => sum + versions, 0);
  const end = query.skip + page.length;
  return {
    timeline: yield* timeline(page, traced),
    total,
    next: end < total ? end : null,
    ...(yield* currentOf(asked, selection)),
    newest_at: yield* newestAt(dialect, scope),
  };
}

/** Those that arrived last come first: they are looked for where the last ones arrived. */
function* pageOf(
  asked: readonly Asked[],
  { skip, limit, selection }: Pick<TraceQuery, 'skip' | 'limit'> & { selection: Selection },
): Steps<{ page: Arrived[]; traced: Traced }> {
  const rest = [...asked].sort((a, b) => b.newest - a.newest);
  const grounds = new Map<string, readonly Arrived[]>();
  const found: Arrived[] = [];
  const wanted = skip + limit;
  // On a ground that was not looked at nothing arrived after its newest.
  while (rest.length > 0 && (found.length < wanted || found[wanted - 1]!.at <= rest[0]!.newest)) {
    const batch = rest.splice(0, wanted);
    for (const versions of yield* versionsOf(batch, selection)) {
      const all = versions.map(arrived);
      if (all[0]) grounds.set(groundOf(all[0]), all);
      found.push(...all.filter(({ asked, there }) => asked && there));
    }
    found.sort((a, b) => b.at - a.at || b.units[0]!.unit - a.units[0]!.unit);
  }
  return { page: found.slice(skip, wanted), traced: { grounds, selection } };
}

function* timeline(page: readonly Arrived[], traced: Traced): Steps<TracedVersion[]> {
  const { actions } = traced.selection;
  const lasts = yield* ends(page, { end: 'last', actions });
  const before = page.map((one): Look => ({
    units: one.success ? others(traced, one).flatMap(({ all }) => all) : [],
    before: one.success?.start,
  }));
  const replaced = yield* ends(before, { end: 'last', actions });
  const untilSuccess = page.map(({ units, success }) => ({ units, before: success?.start }));
  const failed = yield* failures(untilSuccess, actions);
  const firstFailed = yield* ends(untilSuccess, { end: 'first', state: FAILED, actions });
  const comebacks = yield* comebacksOf(page, lasts, traced);
  const returned = comebacks.map((found) => found.slice(0, MOST_RETURNS));
  const sought = page.map(({ success }, n) => [
    inState(success, SUCCESS),
    inState(lasts[n]!, SUCCESS),
    inState(firstFailed[n]!, FAILED),
    ...returned[n]!.map(({ seen }) => inState(seen, SUCCESS)),
  ]);
  const records = yield* recordsOf(sought.flat(), actions);
  const befores = [...replaced, ...returned.flat().map(({ before }) => before)];
  const names = yield* namesOf([...page.map(({ units }) => units[0]!.unit), ...befores.flatMap((seen) => (seen ? [seen.unit] : []))]);
  let told = 0;
  return page.map(({ units }, n) => {
    const { from: _, ...name } = names.get(units[0]!.unit)!;
    const [first, last, first_failed, ...returns] = records.slice(told, (told += sought[n]!.length)).map(runOf);
    return {
      ...name,
      first: first ?? null,
      last: last ?? null,
      replaced: versionNamed(replaced[n]!, names),
      failed_before: failed[n]!,
      first_failed: first_failed ?? null,
      returns: returns.flatMap((run, one): Return[] => {
        const replaced = versionNamed(returned[n]![one]!.before, names);
        return run && replaced ? [{ run, replaced }] : [];
      }),
      more_returns: comebacks[n]!.length > MOST_RETURNS,
    };
  });
} // prettier-ignore
