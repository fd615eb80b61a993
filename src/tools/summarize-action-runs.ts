import { z } from 'zod';
import { summarize } from '../history/summarize.ts';
import { GROUP_KEYS, type GroupKey, type RunGroup } from '../history/summary.ts';
import { awaySince, coverage, journalGap } from './coverage.ts';
import { decodeCursor, encodeCursor, skipOf } from './cursor.ts';
import * as field from './fields.ts';
import { iso, rowsThatFit } from './present-run.ts';
import { resolveFilters, runFilterFields } from './run-filters.ts';
import { inFull, word, words } from './terse.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  group_by: words.describe(GROUP_KEYS.join(', ')),
  order: z.enum(['runs', 'key']).default('runs'),
  organization: words,
  workspace: words,
  environment: words,
  block: words,
  from: word,
  block_version: word,
  action: words,
  status: words,
  exit_code: z.number().optional(),
  user: words,
  host: words,
  client: word,
  source: word,
  during: word,
  since: word,
  until: word,
  timezone: word,
  time_field: word,
  text: word,
  limit: field.limit,
  cursor: word,
});

const groupKeys = z.array(z.enum(GROUP_KEYS)).max(6);
const checked = z.object({
  ...runFilterFields,
  order: inputSchema.shape.order,
  limit: field.limit,
  cursor: field.cursor,
  group_by: z.preprocess((keys) => (typeof keys === 'string' ? [keys] : keys), groupKeys.default([])),
});

export const summarizeActionRuns = defineTool({
  name: 'summarize_action_runs',
  title: 'Count Action Runs',
  description:
    'Counts runs and their durations (ms) by group, exactly; filters as in search_action_runs, times in timezone. approximate: durations may be wrong by 1 %.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: z.object({
    groups: field.openObjects,
    ...field.groupPage,
    interval: z.looseObject({}),
    coverage: field.openObjects,
  }),
  async run(services, input) {
    const { limit, cursor, order, group_by, ...given } = inFull(checked, input);
    const groups = [...new Set(group_by)];
    const question = ['summarize_action_runs', given, groups, order, services.scope];
    const skip = skipOf(decodeCursor(question, cursor));
    const away = await awaySince(services);
    await services.foreign.refresh();
    const { filters, applied, interval } = await resolveFilters(services, given);
    const request = { filters, group_by: groups, timezone: interval.timezone, order, skip, limit };
    const [found, standings] = await Promise.all([
      summarize(services.history, request),
      services.foreign.standings(),
    ]);
    const rows = found.groups.map((group) => presented(group, groups));
    const fits = rowsThatFit(rows, limit);
    const next = fits < rows.length ? skip + fits : found.next;
    return {
      groups: rows.slice(0, fits),
      returned: fits,
      total_runs: found.total_runs,
      total_groups: found.total_groups,
      next_cursor: next === null ? null : encodeCursor(question, next),
      approximate: found.approximate,
      interval: { ...interval },
      filters: applied,
      excluded: found.excluded,
      coverage: coverage(found, standings, await journalGap(services, away)),
    };
  },
}); // prettier-ignore

/** A group in few tokens; runs that are open are rare. */
function presented({ key, ...group }: RunGroup, names: readonly GroupKey[]): Record<string, unknown> {
  const { runs, success, failed, cancelled, unknown, open, duration, first, last } = group;
  return {
    key: Object.fromEntries(names.map((name, n) => [name, key[n] ?? null])),
    runs,
    success,
    failed,
    cancelled,
    unknown,
    ...(open > 0 && { open }),
    duration,
    first: iso(first),
    last: iso(last),
  };
}
