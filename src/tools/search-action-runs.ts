import { z } from 'zod';
import { matchedOf } from '../history/matched.ts';
import type { RunOrder, RunPage } from '../history/search.ts';
import type { ActionRun } from '../runs/action-run.ts';
import { awaySince, coverage, evidenceOf, journalGap } from './coverage.ts';
import { decodeCursor, encodeCursor, foreignCursor } from './cursor.ts';
import * as field from './fields.ts';
import { leanRuns, rowsThatFit } from './present-run.ts';
import { resolveFilters, runFilterFields } from './run-filters.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  ...runFilterFields,
  order: z.enum(['newest', 'oldest', 'longest']).default('newest'),
  include_excluded: z.boolean().describe('Show requests that never launched too').default(false),
  limit: field.limit,
  cursor: field.cursor,
});

export const searchActionRuns = defineTool({
  name: 'search_action_runs',
  title: 'Search Action Runs',
  description:
    'Answers who ran what, where, when and how it ended, with exact totals. Counts launched runs; what never launched is counted in excluded. coverage says what the answer rests on, evidence who vouches for the names. Unknown names are refused with the closest.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: z.object({
    runs: field.openObjects,
    ...field.page,
    interval: z.looseObject({}),
    filters: z.looseObject({}),
    excluded: z.object({ never_launched: z.number(), workflow_parents: z.number() }),
    coverage: field.openObjects,
  }),
  async run(services, input) {
    const { limit, cursor, order, include_excluded, ...given } = input;
    // The question as it was asked, without the resolved instants: a duration like 7d moves between two pages.
    const question = ['search_action_runs', given, order, include_excluded, services.scope];
    const after = positionOf(decodeCursor(question, cursor));
    const away = await awaySince(services);
    await services.foreign.refresh();
    const { filters, applied, interval } = await resolveFilters(services, given);
    // Asked at once: both go to the same thread.
    const [found, standings] = await Promise.all([
      services.history.search({ filters, include_excluded, order, limit, after }),
      services.foreign.standings(),
    ]);
    const rows = leanRuns(found.runs);
    const fitting = rowsThatFit(rows, limit);
    const shown = fitting === rows.length ? found.runs : found.runs.slice(0, fitting);
    const matched = matchedOf(shown, filters);
    // The last row of an answer that was cut short is where the next one goes on.
    const last = shown.at(-1);
    const next = shown === found.runs || !last ? found.next : positionAt(last, order);
    return {
      runs: fitting === rows.length ? rows : rows.slice(0, fitting),
      returned: shown.length,
      total: found.total,
      next_cursor: next && encodeCursor(question, [next.value, next.id]),
      interval: { ...interval },
      filters: { ...applied, order },
      ...(Object.keys(matched).length > 0 && { matched }),
      excluded: found.excluded,
      coverage: coverage(found, standings, await journalGap(services, away)),
      evidence: evidenceOf(shown),
    };
  },
});

/** The position that the store gives a run in this order. */
function positionAt(run: ActionRun, order: RunOrder): NonNullable<RunPage['next']> {
  const value = order === 'longest' ? (run.duration_ms ?? 0) : (run.started_at ?? run.requested_at);
  return { value, id: run.id };
}

function positionOf(position: unknown): RunPage['next'] {
  if (position === null) return null;
  const [value, id] = Array.isArray(position) ? (position as unknown[]) : [];
  if (typeof value === 'number' && typeof id === 'string') return { value, id };
  throw foreignCursor();
}
