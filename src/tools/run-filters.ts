import { z } from 'zod';
import { refuseContradictions } from '../history/contradictions.ts';
import { resolveInterval, type Interval } from '../history/interval.ts';
import { blocksAsRecorded, checkKnownNames, checkWorkspaceNames } from '../history/known-names.ts';
import type { NameColumn, RunFilters } from '../history/search.ts';
import { RUN_SOURCES, RUN_STATUSES } from '../runs/action-run.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import * as field from './fields.ts';
import type { Services } from './services.ts';

/** The filters of every question about runs. */
export const runFilterFields = {
  organization: field.names,
  workspace: field.names,
  environment: field.names.describe('For example production'),
  block: field.names,
  from: z.string().min(1).max(500).describe('Block it was made from, with or without host and version').optional(),
  block_version: z.string().min(1).max(100).describe('Block or app version').optional(),
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
}; // prettier-ignore

type Fields = z.output<z.ZodObject<typeof runFilterFields>>;

/** The arguments of one call; a tool that offers fewer filters passes what it has. */
export type RunFilterArguments = Partial<Fields>;

export interface ResolvedFilters {
  /** As the store takes them. */
  filters: RunFilters;
  /** As an answer shows them, next to the interval. */
  applied: Record<string, unknown>;
  interval: Interval;
}

/**
 * Makes of raw arguments what the store can be asked, in one place for all tools. Refuses times that are not
 * understood, names that are unknown or ambiguous, and filters that contradict each other.
 */
export async function resolveFilters(services: Services, given: RunFilterArguments): Promise<ResolvedFilters> {
  const { during, since, until, timezone, ...named } = given;
  const { span, interval } = await resolveInterval(
    { during, since, until, timezone },
    { now: services.clock.now(), zone: services.zone },
  );
  const declared = (column: NameColumn): Promise<string[]> => declaredNames(services, column);
  const asked: RunFilters = { ...filtersOf(named), span };
  const { block: _, block_version: __, ...rest } = asked;
  const filters: RunFilters = { ...rest, ...(await blocksAsRecorded(services.history, asked, declared)) };
  await checkWorkspaceNames(services.history, filters, declared);
  await checkKnownNames(services.history, filters, declared);
  refuseContradictions(filters);
  const { span: ___, ...applied } = filters;
  return { filters, applied, interval };
} // prettier-ignore

type Named = Omit<RunFilterArguments, 'during' | 'since' | 'until' | 'timezone'>;

function filtersOf(named: Named): Omit<RunFilters, 'span'> {
  const lists = {
    organization: field.listOf(named.organization),
    workspace: field.listOf(named.workspace),
    environment: field.listOf(named.environment),
    block: field.listOf(named.block),
    from: named.from,
    block_version: named.block_version,
    action: field.listOf(named.action),
    status: field.listOf(named.status) as RunFilters['status'],
    exit_code: named.exit_code === undefined ? undefined : [named.exit_code],
    user: field.listOf(named.user)?.map((name) => name.toLowerCase()),
    host: field.listOf(named.host),
    client: named.client,
    source: named.source,
    text: named.text,
  };
  const given = Object.fromEntries(Object.entries(lists).filter(([, value]) => value !== undefined));
  return { ...given, time_field: named.time_field ?? 'started' };
}

/** Names that exist on disk although no run has them yet: asking for those is no typing error. */
async function declaredNames({ store }: Services, column: NameColumn): Promise<string[]> {
  const read = DECLARED[column];
  if (!read) return [];
  const values = (await store.list()).flatMap(read);
  return [...new Set(values.filter((name): name is string => typeof name === 'string'))];
}

const DECLARED: Partial<Record<NameColumn, (workspace: Workspace) => (string | null | undefined)[]>> = {
  organization: (workspace) => [workspace.organization],
  workspace: (workspace) => [workspace.name, addressOf(workspace)],
  address: (workspace) => [addressOf(workspace)],
  environment: (workspace) => [workspace.environment?.value],
  block: (workspace) => workspace.blocks.map(({ name }) => name),
  origin: (workspace) => workspace.blocks.map(({ from }) => from),
  block_version: (workspace) => workspace.blocks.flatMap(({ version, app_version }) => [version, app_version]),
  action: (workspace) => workspace.blocks.flatMap(({ actions }) => actions.map(({ name }) => name)),
}; // prettier-ignore
