import { BEGIN, countedUntil, type Piece } from './counts.ts';
import { CUBES } from './cubes.ts';
import { bucketOf, CLASS_SIZE, mostOf, OPEN_STATES } from './narrow.ts';
import { ask, list, type Steps } from './steps.ts';

/** Few runs take longer, so only where the counts know of some it is looked further back. */
const LONG = 3_600_000;

const DURATIONS = CUBES.find(({ columns }) => columns.length === 1 && columns[0] === 'bucket')!;

/**
 * When a run began whose duration does not tell when it ended, else null: open ones, and what others reported so. An
 * expression, because an index of one is used wherever it is compared.
 */
const LOOSE = `CASE WHEN state < ${CLASS_SIZE} AND (finished_at IS NULL OR duration_ms IS NULL OR finished_at - start > duration_ms) THEN start END`;
const FIRM =
  'c.finished_at IS NOT NULL AND c.duration_ms IS NOT NULL AND c.finished_at - c.start <= c.duration_ms';

export const LOOSE_INDEX = `CREATE INDEX narrow_runs_loose ON narrow_runs ((${LOOSE})) WHERE (${LOOSE}) IS NOT NULL;`;

/** Conditions on rows of `narrow_runs`, under the name `c`, which together fit each run once that began before `at` and was going on then. */
export function* going(at: number): Steps<string[]> {
  const still = `(c.finished_at > ${list([at])} OR (c.finished_at IS NULL AND c.state IN (${OPEN_STATES})))`;
  const pieces = yield* piecesBefore(at);
  return [
    `${LOOSE.replace(/\b(state|finished_at|duration_ms|start)\b/g, 'c.$1')} < ${list([at])} AND ${still}`,
    ...pieces.map(
      ({ since, until }) =>
        `c.start >= ${list([since])} AND c.start < ${list([until])} AND c.state < ${CLASS_SIZE} AND ${FIRM} AND ${still}`,
    ),
  ];
} // prettier-ignore

/** Where those may have begun whose duration tells when they ended. */
function* piecesBefore(at: number): Steps<Pick<Piece, 'since' | 'until'>[]> {
  const short = bucketOf(LONG);
  const border = at - mostOf(short);
  const pieces = [{ since: border, until: at }];
  const counted = yield* countedUntil();
  if (counted < border) pieces.push({ since: Math.max(counted, 0), until: border });
  const slots = yield* ask<{ slot: number; longest: number }>(
    `SELECT slot, max(a) AS longest FROM run_counts WHERE cube = ${DURATIONS.id} AND a > ${short} AND b = 0 AND c = 0
       AND state < ${CLASS_SIZE} GROUP BY slot`,
  );
  for (const { slot, longest } of slots) {
    const since = Math.max(slot * DURATIONS.slot_ms, at - mostOf(longest));
    const until = Math.min((slot + 1) * DURATIONS.slot_ms, border, counted);
    if (since < until) pieces.push({ since, until });
  }
  // Runs from before 1970 are in no counts.
  pieces.push({ since: BEGIN, until: Math.min(0, border) });
  return pieces;
}
