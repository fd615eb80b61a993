import { z } from 'zod';
import type { Change } from '../history/changes.ts';
import { resolveInstant } from '../history/interval.ts';
import { AppError } from '../shared/errors.ts';
import { awaySince, coverage, evidenceOf, journalGap } from './coverage.ts';
import { decodeCursor, encodeCursor, skipOf } from './cursor.ts';
import { millisecondsOf } from './duration.ts';
import * as field from './fields.ts';
import { transitionOf } from './present-change.ts';
import { leanRun, rowsThatFit } from './present-run.ts';
import { resolveFilters, runFilterFields } from './run-filters.ts';
import { inFull, word, words } from './terse.ts';
import { defineTool } from './tool.ts';

const { organization, workspace, environment, block, host } = runFilterFields;
const { timezone } = field.interval;
const time = z.string().min(1).max(100);
const checked = z.object({
  at: time,
  before: time.default('24h'),
  after: time.default('0h'),
  ...{ organization, workspace, environment, block, host, timezone },
  limit: field.limit,
  cursor: field.cursor,
});

export const findChanges = defineTool({
  name: 'find_changes',
  title: 'Find Changes',
  description:
    'What ran before (and after) an instant, for incidents: what shares workspace, host, block or organization with the arguments comes first, then the closest. Says what changed since the run before of the same block. Only environment filters.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({
    at: z.string().describe('Instant, as since'),
    before: z.string().default('24h'),
    after: z.string().default('0h'),
    organization: words, workspace: words, environment: words, block: words, host: words,
    timezone: word, limit: field.limit, cursor: word,
  }),
  output: z.object({
    changes: field.openObjects,
    ...field.page,
    interval: z.looseObject({}),
    coverage: field.openObjects,
  }),
  async run(services, input) {
    const { limit, cursor, ...given } = inFull(checked, input);
    const { at, before, after, timezone, ...names } = given;
    const question = ['find_changes', given, services.scope];
    const skip = skipOf(decodeCursor(question, cursor));
    const moment = await resolveInstant('at', at, { now: services.clock.now(), zone: services.zone, timezone });
    const [back, on] = [millisecondsOf('before', before), millisecondsOf('after', after)];
    if (back + on === 0) throw nothingToLookAt();
    if (back + on > MOST_MS) throw tooMuchToLookAt();
    // The instant itself belongs to what is looked at.
    const [since, until] = [moment.at - back, moment.at + Math.max(on, 1)];
    const away = await awaySince(services);
    await services.foreign.refresh();
    const { filters } = await resolveFilters(services, { ...names, timezone: moment.timezone });
    const { environment, organization, workspace, block, host } = filters;
    const near = { organization, workspace, block, host };
    const [found, standings] = await Promise.all([
      services.history.around({ at: moment.at, since, until, environment, near, skip, limit }),
      services.foreign.standings(),
    ]);
    const rows = found.changes.map(presented);
    const shown = rowsThatFit(rows, limit);
    const next = shown < rows.length ? skip + shown : found.next;
    const named = Object.values(near).some((value) => value !== undefined);
    return {
      changes: rows.slice(0, shown),
      returned: shown,
      total: found.total,
      ...(named && { in_scope: found.in_scope }),
      next_cursor: next === null ? null : encodeCursor(question, next),
      at: { utc: moment.utc, local: moment.local, timezone: moment.timezone, note: moment.note },
      interval: { since: new Date(since).toISOString(), until: new Date(until).toISOString(), time_field: 'overlaps' },
      filters: { ...near, environment },
      excluded: found.excluded,
      coverage: coverage(found, standings, await journalGap(services, away)),
      evidence: evidenceOf(found.changes.slice(0, shown).map(({ run }) => run)),
    };
  },
}); // prettier-ignore

function presented({ run, same, distance_ms, previous }: Change): Record<string, unknown> {
  const changed = transitionOf(run, previous);
  return {
    distance: distanceOf(distance_ms),
    ...leanRun(run),
    organization: run.organization,
    ...(same.length > 0 && { same }),
    ...(changed && { changed }),
    ...(run.reason && { reason: run.reason }),
    ...(run.status_reason && { status_reason: run.status_reason }),
    ...(run.retrigger_of && { retrigger_of: run.retrigger_of }),
    ...(run.cancelled_by && { cancelled_by: run.cancelled_by }),
  };
}

/** What ran in a longer time is no answer to what changed at an instant. */
const MOST_MS = 92 * 86_400_000;

function tooMuchToLookAt(): AppError {
  return new AppError('invalid_argument', 'before and after are more than 92 days together', {
    valid: ['24h', '7d', '30d'],
    next: 'repeat the call with a shorter time, or ask summarize_action_runs or trace_versions about a long one',
  });
}

/** As a reader says it: `22m 14s before`. */
function distanceOf(ms: number): string {
  if (ms === 0) return 'going on';
  const seconds = Math.floor(Math.abs(ms) / 1_000);
  const parts = { d: Math.floor(seconds / 86_400), h: Math.floor(seconds / 3_600) % 24, m: Math.floor(seconds / 60) % 60, s: seconds % 60 };
  const said = Object.entries(parts).filter(([, value]) => value > 0).slice(0, 2).map(([unit, value]) => `${value}${unit}`);
  return `${said.join(' ') || '0s'} ${ms < 0 ? 'before' : 'after'}`;
} // prettier-ignore

function nothingToLookAt(): AppError {
  return new AppError('invalid_argument', 'before and after are both zero', {
    valid: ['24h', '90m', '7d'],
    next: 'repeat the call with one of them longer',
  });
}
