import type { Scope } from '../../access/identity.ts';
import { AppError } from '../../shared/errors.ts';
import { TIME_GROUPS, type RunGroup, type SummaryPage, type SummaryQuery } from '../../history/summary.ts';
import { countRows, MOST_ROWS, spanOf, type CountRow, type Piece } from './counts.ts';
import { durationsOf } from './durations.ts';
import { exactEnds } from './ends.ts';
import { columnsOf, labelsOf, keyOf, type Labels } from './labels.ts';
import { statusOf } from './narrow.ts';
import { countedOnly, tallyOf } from './search.ts';
import type { Dialect, Steps } from './steps.ts';
import { newestAt } from './visible.ts';
import { resolve, type Where } from './where.ts';

/** A group in the making, with the rows of counts that it is made of. */
export interface Gathered extends RunGroup {
  rows: CountRow[];
}

/** What the parts of an answer about groups need. */
export interface Grouping {
  where: Where;
  query: SummaryQuery;
  slices: readonly Piece[];
  labels: Labels;
}

export function* summarize(query: SummaryQuery, dialect: Dialect, scope: Scope): Steps<SummaryPage> {
  const all = yield* resolve(query.filters, dialect, scope);
  const slices = slicesOf(query, spanOf(all.span));
  const rows = yield* countRows(all, { by: columnsOf(query.group_by), slices });
  if (rows.length > MOST_ROWS) throw tooMany();
  const where = countedOnly(all);
  const counted = rows.filter(({ state }) => where.states!.includes(state));
  const labels = yield* labelsOf(query.group_by, counted);
  const grouping: Grouping = { where, query, slices, labels };
  const groups = sorted(gather(counted, grouping), query);
  const shown = groups.slice(query.skip, query.skip + query.limit);
  yield* exactEnds(shown, grouping);
  const approximate = yield* durationsOf(shown, grouping);
  const { counted: total_runs, ...excluded } = tallyOf(rows);
  const end = query.skip + shown.length;
  return {
    groups: shown.map(({ rows: _, ...group }) => group),
    total_runs,
    total_groups: groups.length,
    next: end < groups.length ? end : null,
    approximate,
    excluded,
    newest_at: yield* newestAt(dialect, scope),
  };
} // prettier-ignore

function slicesOf({ slices }: SummaryQuery, span: Piece): Piece[] {
  if (!slices) return [span];
  const cut = slices.map(({ since, until }, slice) => ({
    slice,
    since: Math.max(since, span.since),
    until: Math.min(until, span.until),
  }));
  return cut.filter(({ since, until }) => since < until);
}

function gather(rows: readonly CountRow[], { query, labels }: Grouping): Gathered[] {
  const groups = new Map<string, Gathered>();
  for (const row of rows) {
    const key = keyOf(row, { query, labels });
    const name = JSON.stringify(key);
    let group = groups.get(name);
    if (!group) groups.set(name, (group = empty(key)));
    const status = statusOf(row.state);
    group.runs += row.runs;
    group[status === 'pending' || status === 'running' ? 'open' : status] += row.runs;
    group.first = Math.min(group.first, row.low);
    group.last = Math.max(group.last, row.high);
    group.rows.push(row);
  }
  return [...groups.values()];
}

function empty(key: (string | null)[]): Gathered {
  const none = { runs: 0, success: 0, failed: 0, cancelled: 0, unknown: 0, open: 0 };
  return { key, ...none, duration: null, first: Infinity, last: -Infinity, rows: [] };
}

function sorted(groups: Gathered[], { order, group_by }: SummaryQuery): Gathered[] {
  const time = group_by.findIndex((key) => (TIME_GROUPS as readonly string[]).includes(key));
  const byKey = (a: Gathered, b: Gathered): number => {
    for (const [n, one] of a.key.entries()) {
      const other = b.key[n]!;
      if (one === other) continue;
      // An hour that the clock shows twice is in the order of time, not of its offset.
      if (n === time) return a.rows[0]!.slice - b.rows[0]!.slice;
      // What has none comes last.
      if (one === null) return 1;
      if (other === null) return -1;
      return one < other ? -1 : 1;
    }
    return 0;
  };
  return groups.sort((a, b) => (order === 'runs' ? b.runs - a.runs : 0) || byKey(a, b));
}

function tooMany(): AppError {
  return new AppError('invalid_argument', `these are more than ${MOST_ROWS} groups, which nobody can read`, {
    valid: ['fewer names in group_by', 'more filters', 'a shorter interval'],
    next: 'repeat the call with one of these',
  });
}
