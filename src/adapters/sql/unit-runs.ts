import { FAILED, STATES, SUCCESS } from './spans.ts';
import { ask, list, type Steps } from './steps.ts';
import { ALWAYS, NEVER, type Actions, type Unit } from './units.ts';

// Looks into `narrow_runs_by_unit`: each finds its run in the index, however many there are between. What the ends of a
// unit tell already is not looked for.

/** The first or the last run of some units, between two times (both exclusive). */
export interface Look {
  units: readonly Unit[];
  after?: number | undefined;
  before?: number | undefined;
}

export interface Seen {
  unit: number;
  start: number;
}

/** `any`: of all runs that count. */
interface Wanted {
  end: 'first' | 'last';
  state?: typeof SUCCESS | typeof FAILED | 'any';
  actions: Actions;
}

interface Probe {
  look: number;
  unit: number;
  after: number;
  before: number;
}

const BATCH = 2_000;

/** For each look what it found. */
export function* ends(looks: readonly Look[], wanted: Wanted): Steps<(Seen | null)[]> {
  const found: (Seen | null)[] = looks.map(() => null);
  const take = (look: number, one: Seen): void => {
    const best = found[look];
    if (!best || (wanted.end === 'first' ? one.start < best.start : one.start > best.start))
      found[look] = one;
  };
  const probes: Probe[] = [];
  for (const [look, { units, after = ALWAYS, before = NEVER }] of looks.entries()) {
    for (const unit of units) {
      const known = endOf(unit, { after, before }, wanted);
      if (typeof known === 'number') take(look, { unit: unit.unit, start: known });
      else if (known === 'unknown') probes.push({ look, unit: unit.unit, after, before });
    }
  }
  const { state = SUCCESS } = wanted;
  for (const one of state === 'any' ? STATES : [state]) {
    for (const { look, unit, start } of yield* probed(probes, one, wanted)) take(look, { unit, start });
  }
  return found;
}

/** Null: there is no such run. */
function endOf(unit: Unit, { after, before }: { after: number; before: number }, { end, state = SUCCESS }: Wanted): number | 'unknown' | null {
  const success = state === SUCCESS;
  const [first, last] = success ? [unit.first_success, unit.last_success] : [unit.first_run, unit.last_run];
  if (first === null || last === null || first >= before || last <= after) return null;
  if (state === FAILED) return 'unknown';
  if (end === 'first') return first > after ? first : 'unknown';
  return last < before ? last : 'unknown';
} // prettier-ignore

function* probed(probes: readonly Probe[], state: number, { end, actions }: Wanted): Steps<(Seen & { look: number })[]> {
  const found: (Seen & { look: number })[] = [];
  for (let from = 0; from < probes.length; from += BATCH) {
    const values = probes.slice(from, from + BATCH).map(({ look, unit, after, before }) =>
      `(${list([look, unit])}, CAST(${list([after])} AS bigint), CAST(${list([before])} AS bigint))`,
    );
    const rows = yield* ask<{ look: number; unit: number; start: number | null }>(
      `WITH looks (look, unit, after, before) AS (VALUES ${values.join(', ')})
       SELECT l.look AS look, l.unit AS unit, (SELECT c.start FROM narrow_runs c
         WHERE c.unit = l.unit AND c.state = ${list([state])} AND c.start > l.after AND c.start < l.before${among(actions)}
         ORDER BY c.start ${end === 'first' ? 'ASC' : 'DESC'} LIMIT 1) AS start FROM looks l`,
    );
    for (const { look, unit, start } of rows) if (start !== null) found.push({ look, unit, start });
  }
  return found;
} // prettier-ignore

/** How many runs of some units failed before a time, for each look. */
export function* failures(looks: readonly Look[], actions: Actions): Steps<number[]> {
  const values = looks.flatMap(({ units, before = NEVER }, look) =>
    units
      .filter(({ first_run }) => first_run < before)
      .map(({ unit }) => `(${list([look, unit])}, CAST(${list([before])} AS bigint))`),
  );
  const counts = looks.map(() => 0);
  if (values.length === 0) return counts;
  const rows = yield* ask<{ look: number; runs: number }>(
    `WITH looks (look, unit, before) AS (VALUES ${values.join(', ')})
     SELECT l.look AS look, (SELECT count(*) FROM narrow_runs c
       WHERE c.unit = l.unit AND c.state = ${FAILED} AND c.start < l.before${among(actions)}) AS runs FROM looks l`,
  );
  for (const { look, runs } of rows) counts[look]! += runs;
  return counts;
} // prettier-ignore

/** A run that was seen, and in which state. */
export interface Sought extends Seen {
  state: NonNullable<Wanted['state']>;
}

export function inState(seen: Seen | null, state: Sought['state']): Sought | null {
  return seen && { ...seen, state };
}

/** The records of runs that were seen. */
export function* recordsOf(sought: readonly (Sought | null)[], actions: Actions): Steps<(string | null)[]> {
  const some = sought.flatMap((one, look) => (one ? [{ look, ...one }] : []));
  const records: (string | null)[] = sought.map(() => null);
  if (some.length === 0) return records;
  const values = some.map(({ look, unit, start, state }) => {
    const states = state === 'any' ? [STATES[0]!, STATES.at(-1)!] : [state, state];
    return `(${list([look, unit])}, CAST(${list([start])} AS bigint), ${list(states)})`;
  });
  const rows = yield* ask<{ look: number; record: string }>(
    `WITH looks (look, unit, start, state, highest) AS (VALUES ${values.join(', ')})
     SELECT l.look AS look, r.record AS record FROM looks l CROSS JOIN narrow_runs c CROSS JOIN runs r
     WHERE c.start = l.start AND c.unit = l.unit AND c.state BETWEEN l.state AND l.highest${among(actions)} AND r.n = c.n
     ORDER BY r.id DESC`,
  );
  for (const { look, record } of rows) records[look] = record;
  return records;
} // prettier-ignore

function among(actions: Actions): string {
  return actions ? ` AND c.action IN (${list(actions)})` : '';
}
