import { AppError } from '../shared/errors.ts';
import type { RunFilters, RunHistory } from './search.ts';
import {
  TIME_GROUPS,
  type GroupKey,
  type SummaryPage,
  type SummaryQuery,
  type TimeGroup,
} from './summary.ts';
import { timeSlices } from './time-slices.ts';

export interface SummaryRequest extends Pick<SummaryQuery, 'filters' | 'order' | 'skip' | 'limit'> {
  group_by: readonly GroupKey[];
  /** IANA zone whose hours, days, weeks and months are meant. */
  timezone: string;
}

/** Counts and durations of the runs that match, for each group. */
export async function summarize(
  history: Pick<RunHistory, 'summarize' | 'extent'>,
  { timezone, ...request }: SummaryRequest,
): Promise<SummaryPage> {
  const group_by = [...new Set(request.group_by)];
  const unit = timeOf(group_by);
  const span = unit && (await spanOf(history, request.filters));
  const slices = span ? timeSlices(span, { unit, zone: timezone }) : unit ? [] : null;
  return await history.summarize({ ...request, group_by, slices });
}

function timeOf(group_by: readonly GroupKey[]): TimeGroup | null {
  const units = TIME_GROUPS.filter((unit) => group_by.includes(unit));
  if (units.length <= 1) return units[0] ?? null;
  throw new AppError(
    'invalid_argument',
    `group_by has ${units.join(' and ')}: only one of them is possible`,
    {
      valid: units,
      next: 'repeat the call with one of these',
    },
  );
}

/** Where runs can be; null: nowhere. */
async function spanOf(
  history: Pick<RunHistory, 'extent'>,
  { span, time_field }: RunFilters,
): Promise<{ since: number; until: number } | null> {
  const extent = await history.extent();
  if (!extent) return null;
  // Groups are by the start, whatever time the interval is about.
  const asked = time_field === 'started' ? span : { since: null, until: null };
  const since = Math.max(asked.since ?? extent.oldest, extent.oldest);
  const until = Math.min(asked.until ?? extent.newest + 1, extent.newest + 1);
  return since < until ? { since, until } : null;
}
