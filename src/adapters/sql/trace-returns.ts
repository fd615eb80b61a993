import { MOST_RETURNS } from '../../history/versions.ts';
import type { Steps } from './steps.ts';
import { others, type Arrived, type Traced } from './traced.ts';
import { ends, type Seen } from './unit-runs.ts';
import type { Unit } from './units.ts';

interface Walk {
  first: number;
  own: readonly Unit[];
  others: readonly Unit[];
  /** A success of the version; returns after it are known. */
  at: number;
  found: Comeback[];
  done: boolean;
}

/** Successes after which another version had succeeded, the newest first. */
export interface Comeback {
  seen: Seen;
  before: Seen;
}

/** From its last success back in time: whenever another version succeeded in between, it came back; one more than are told of. */
export function* comebacksOf(
  page: readonly Arrived[],
  lasts: readonly (Seen | null)[],
  traced: Traced,
): Steps<Comeback[][]> {
  const walks = page.map((one, n): Walk => {
    const first = one.success?.start ?? 0;
    const rest = others(traced, one).flatMap(({ all }) => all);
    return { first, own: one.units, others: rest, at: lasts[n]?.start ?? 0, found: [], done: one.success === null };
  }); // prettier-ignore
  for (let step = 0; step <= MOST_RETURNS; step++) yield* stepBack(walks.filter(({ done }) => !done), traced); // prettier-ignore
  return walks.map(({ found }) => found);
}

function* stepBack(walks: readonly Walk[], { selection: { actions } }: Traced): Steps<void> {
  if (walks.length === 0) return;
  const before = yield* ends(
    walks.map((walk) => ({ units: walk.others, after: walk.first, before: walk.at })),
    { end: 'last', actions },
  );
  for (const [n, walk] of walks.entries()) walk.done = before[n] === null;
  const back = walks.flatMap((walk, n) => (before[n] ? [{ walk, before: before[n] }] : []));
  const again = yield* ends(back.map(({ walk, before: { start } }) => ({ units: walk.own, after: start })), { end: 'first', actions }); // prettier-ignore
  const earlier = yield* ends(back.map(({ walk, before: { start } }) => ({ units: walk.own, before: start })), { end: 'last', actions }); // prettier-ignore
  for (const [n, one] of back.entries()) {
    one.walk.found.push({ seen: again[n]!, before: one.before });
    one.walk.at = earlier[n]!.start;
  }
}
