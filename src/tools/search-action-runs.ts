import { z } from 'zod';
import { resolveInterval } from '../history/interval.ts';
import { checkKnownNames } from '../history/known-names.ts';
import type { NameColumn, RunFilters, RunPage } from '../history/search.ts';
import { RUN_SOURCES, RUN_STATUSES } from '../runs/action-run.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import { coverage } from './coverage.ts';
import { decodeCursor, encodeCursor, foreignCursor } from './cursor.ts';
import * as field from './fields.ts';
import { leanRuns } from './present-run.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  organization: field.names,
  workspace: field.names,
  environment: field.names.describe('For example production'),
  block: field.names,
  from: z.string().max(500).describe('Block it was made from, with or without host and version').optional(),
  block_version: z.string().max(100).describe('Block or app version').optional(),
  action: field.names,
  status: z.union([z.enum(RUN_STATUSES), z.array(z.enum(RUN_STATUSES))]).optional(),
  exit_code: z.number().int().optional(),
  user: field.names.describe('Person, principal or OS user; case-insensitive'),
  host: field.names.describe('Machine that ran it'),
  client: z.string().max(200).optional(),
  source: z.enum(RUN_SOURCES).optional(),
  ...field.interval,
  time_field: z.enum(['started', 'finished', 'overlaps', 'recorded']).default('started'),
  text: z.string().min(1).max(200).describe('Part of reason, names or status_reason').optional(),
  order: z.enum(['newest', 'oldest', 'longest']).default('newest'),
  include_excluded: z.boolean().describe('Show requests that never launched too').default(false),
  limit: field.limit,
  cursor: field.cursor,
});

export const searchActionRuns = defineTool({
  name: 'search_action_runs',
  title: 'Search Action Runs',
  description:
    'Answers who ran what, where, when and how it ended, with exact totals. Counts launched runs; what never launched is counted in excluded. coverage says what the answer rests on. Unknown names are refused with the closest.',
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
    const { limit, cursor, order, include_excluded, during, since, until, timezone, ...named } = input;
    const resolved = resolveInterval(
      { during, since, until, timezone },
      { now: services.clock.now(), zone: services.zone },
    );
    const filters: RunFilters = { ...filtersOf(named), span: resolved.span };
    // The question without the resolved instants: a duration like 7d moves between two pages.
    const question = ['search_action_runs', named, during, since, until, timezone, order, include_excluded];
    const after = positionOf(decodeCursor(question, cursor));
    // Asked at once: both go to the same thread.
    const [found] = await Promise.all([
      services.history.search({ filters, include_excluded, order, limit, after }),
      checkKnownNames(services.history, filters, (column) => declaredNames(services, column)),
    ]);
    return {
      runs: leanRuns(found.runs),
      returned: found.runs.length,
      total: found.total,
      next_cursor: found.next && encodeCursor(question, [found.next.value, found.next.id]),
      interval: { ...resolved.interval },
      filters: { ...filtersOf(named), order },
      excluded: found.excluded,
      coverage: coverage(found),
    };
  },
});

type Named = Omit<
  z.output<typeof inputSchema>,
  'limit' | 'cursor' | 'order' | 'include_excluded' | 'during' | 'since' | 'until' | 'timezone'
>;

function filtersOf(named: Named): Omit<RunFilters, 'span'> {
  const lists = {
    organization: field.listOf(named.organization),
    workspace: field.listOf(named.workspace),
    environment: field.listOf(named.environment),
    block: field.listOf(named.block),
    action: field.listOf(named.action),
    status: field.listOf(named.status) as RunFilters['status'],
    exit_code: named.exit_code === undefined ? undefined : [named.exit_code],
    user: field.listOf(named.user),
    host: field.listOf(named.host),
    from: named.from,
    block_version: named.block_version,
    client: named.client,
    source: named.source,
    text: named.text,
  };
  const given = Object.fromEntries(Object.entries(lists).filter(([, value]) => value !== undefined));
  return { ...given, time_field: named.time_field };
}

function positionOf(position: unknown): RunPage['next'] {
  if (position === null) return null;
  const [value, id] = Array.isArray(position) ? (position as unknown[]) : [];
  if (typeof value === 'number' && typeof id === 'string') return { value, id };
  throw foreignCursor();
}

/** Names that exist on disk although no run has them yet: asking for those is no typing error. */
async function declaredNames({ store }: Services, column: NameColumn): Promise<string[]> {
  const of: Partial<Record<NameColumn, (workspace: Workspace) => (string | null | undefined)[]>> = {
    organization: (workspace) => [workspace.organization],
    workspace: (workspace) => [workspace.name, addressOf(workspace)],
    environment: (workspace) => [workspace.environment?.value],
    block: (workspace) => workspace.blocks.map(({ name }) => name),
    block_version: (workspace) =>
      workspace.blocks.flatMap(({ version, app_version }) => [version, app_version]),
    action: (workspace) => workspace.blocks.flatMap(({ actions }) => actions.map(({ name }) => name)),
  };
  const read = of[column];
  if (!read) return [];
  const values = (await store.list()).flatMap(read);
  return [...new Set(values.filter((name): name is string => typeof name === 'string'))];
}
