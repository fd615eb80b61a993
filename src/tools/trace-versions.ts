import { z } from 'zod';
import type { CurrentVersion, TracedVersion } from '../history/versions.ts';
import { awaySince, coverage, journalGap } from './coverage.ts';
import { decodeCursor, encodeCursor, skipOf } from './cursor.ts';
import * as field from './fields.ts';
import { briefRun, versionOf } from './present-change.ts';
import { fitting, iso, rowsThatFit } from './present-run.ts';
import { resolveFilters, runFilterFields } from './run-filters.ts';
import { inFull, word, words } from './terse.ts';
import { defineTool } from './tool.ts';

const { organization, workspace, environment, block, from, block_version, action } = runFilterFields;
const checked = z.object({
  ...{ organization, workspace, environment, block, from, block_version, action },
  ...field.interval,
  limit: field.limit,
  cursor: field.cursor,
});

/** Names may be long; `total_current` tells how many there are. */
const CURRENT_CHARACTERS = 7_000;

export const traceVersions = defineTool({
  name: 'trace_versions',
  title: 'Trace Versions',
  description:
    'When each block version first and last succeeded in each workspace, what it replaced, roll-backs (returns), failures before; current: which version succeeded last, and what is behind. An interval selects versions that ran in it; all else is of all time.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({
    organization: words, workspace: words, environment: words, block: words, from: word, block_version: word,
    action: words, during: word, since: word, until: word, timezone: word, limit: field.limit, cursor: word,
  }),
  output: z.object({
    timeline: field.openObjects,
    current: field.openObjects,
    ...field.page,
    interval: z.looseObject({}),
    coverage: field.openObjects,
  }),
  async run(services, input) {
    const { limit, cursor, ...given } = inFull(checked, input);
    const question = ['trace_versions', given, services.scope];
    const skip = skipOf(decodeCursor(question, cursor));
    const away = await awaySince(services);
    await services.foreign.refresh();
    const { filters, applied, interval } = await resolveFilters(services, given);
    const { span, ...rest } = filters;
    const [found, standings, beginning] = await Promise.all([
      services.history.trace({ filters: rest, span, skip, limit }),
      services.foreign.standings(),
      services.history.extent(),
    ]);
    const rows = found.timeline.map(presented);
    const workspaces = found.current.map(presentedCurrent);
    const current = workspaces.slice(0, fitting(workspaces, CURRENT_CHARACTERS));
    const shown = rowsThatFit(rows, limit, current);
    const next = shown < rows.length ? skip + shown : found.next;
    const { time_field: _, ...named } = applied;
    return {
      timeline: rows.slice(0, shown),
      current,
      returned: shown,
      total: found.total,
      total_current: found.total_current,
      next_cursor: next === null ? null : encodeCursor(question, next),
      interval: { ...interval },
      filters: named,
      ...(given.block_version !== undefined && { matched: matchedBy(found.timeline, given.block_version) }),
      records_begin: beginning && iso(beginning.oldest),
      coverage: coverage(found, standings, await journalGap(services, away)),
    };
  },
}); // prettier-ignore

function presented(one: TracedVersion): Record<string, unknown> {
  const { organization, workspace, environment, block, first, last, replaced, failed_before, first_failed } =
    one;
  return {
    organization,
    workspace,
    environment,
    block,
    ...versionOf(one),
    first: briefRun(first),
    last: last && last.id !== first?.id ? briefRun(last) : null,
    replaced: replaced && versionOf(replaced),
    ...(failed_before > 0 && { failed_before, first_failed: briefRun(first_failed) }),
    ...(one.returns.length > 0 && {
      returns: one.returns.map(({ run, replaced }) => ({ ...briefRun(run), replaced: versionOf(replaced) })),
    }),
    ...(one.more_returns && { more_returns: true }),
  };
}

function presentedCurrent(one: CurrentVersion): Record<string, unknown> {
  const { organization, workspace, environment, block, since, last, run_id, behind } = one;
  return {
    organization,
    workspace,
    environment,
    block,
    ...versionOf(one),
    since: iso(since),
    last: iso(last),
    run_id,
    behind: behind && {
      ...versionOf(behind),
      organization: behind.organization,
      workspace: behind.workspace,
    },
  };
}

/** Which of the two versions it was. */
function matchedBy(timeline: readonly TracedVersion[], wanted: string): Record<string, number> {
  const count = (name: 'version' | 'app_version'): number =>
    timeline.filter((one) => one[name] === wanted).length;
  return { block_version: count('version'), app_version: count('app_version') };
}
