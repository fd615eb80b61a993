import { z } from 'zod';
import type { GitHead } from '../workspaces/git-state.ts';
import { addressOf, type Environment, type Workspace } from '../workspaces/workspace.ts';
import { pageOf } from './cursor.ts';
import * as field from './fields.ts';
import { checkKnown } from './known-value.ts';
import { fitting, rowsThatFit } from './present-run.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  organization: z.string().optional(),
  environment: z.string().describe('For example production').optional(),
  query: z.string().max(200).describe('Part of name, organization or description').optional(),
  limit: field.limit,
  cursor: field.sameCursor,
});
const outputSchema = z.object({ workspaces: field.openObjects, ...field.page });

export type WorkspacesInput = z.output<typeof inputSchema>;
export type WorkspacesPage = z.input<typeof outputSchema>;

export const listWorkspaces = defineTool({
  name: 'list_workspaces',
  title: 'List workspaces',
  description: 'Lists workspaces with environment, number of blocks, workflows, git head and problems.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: outputSchema,
  run: workspacesHere,
});

/** Those of this machine, and those that only a Polycrate API has. */
export async function workspacesHere(
  services: Pick<Services, 'store' | 'remote' | 'git' | 'scope'>,
  { limit, cursor, ...filters }: WorkspacesInput,
): Promise<WorkspacesPage> {
  const local = await services.store.list();
  const remote = onlyRemote(local, await services.remote.workspaces());
  const all: Listed[] = [...local, ...remote];
  checkKnown(
    'organization',
    filters.organization,
    all.map(({ organization }) => organization ?? '-'),
  );
  checkKnown(
    'environment',
    filters.environment,
    all.map(({ environment }) => environment?.value),
  );
  const found = all.filter((workspace) => matches(workspace, filters));
  const fits = (some: readonly Listed[]): number =>
    rowsThatFit(
      some.map((one) => ('endpoint' in one ? remoteRow(one) : row(one, SOME_HEAD))),
      limit,
    );
  const question = ['list_workspaces', filters, services.scope];
  const { items, ...page } = pageOf(found, { limit, cursor, question, fits });
  const workspaces: Record<string, unknown>[] = [];
  // One after the other: what is not known yet costs a process each.
  for (const item of items) {
    workspaces.push('endpoint' in item ? remoteRow(item) : row(item, await services.git.head(item.path)));
  }
  return { workspaces, ...page };
}

/** As long as most are, to reckon with before git was asked. */
const SOME_HEAD: GitHead = { commit: '0'.repeat(40), branch: 'b'.repeat(60) };
const WORKFLOWS_CHARACTERS = 3_000;

type RemoteWorkspace = ReturnType<typeof onlyRemote>[number];
type Listed = Workspace | RemoteWorkspace;

/** Workspaces that a Polycrate API knows and this host does not have. */
function onlyRemote(
  local: readonly Workspace[],
  there: Awaited<ReturnType<Services['remote']['workspaces']>>,
) {
  const here = new Set(local.map(addressOf));
  return there
    .filter((workspace) => !here.has(addressOf(workspace)))
    .map(({ purpose, ...workspace }) => {
      const environment: Environment | null = purpose === null ? null : { value: purpose, origin: 'api' };
      return { ...workspace, environment, description: null };
    });
}

function remoteRow({
  name,
  organization,
  environment,
  endpoint,
  url,
  commit,
}: RemoteWorkspace): Record<string, unknown> {
  return {
    name,
    organization,
    environment,
    path: null,
    source: 'api',
    endpoint,
    url,
    commit,
    runnable: false,
    problems: [],
  };
}

interface Filters {
  organization?: string | undefined;
  environment?: string | undefined;
  query?: string | undefined;
}

function matches(workspace: Listed, { organization, environment, query }: Filters): boolean {
  if (organization !== undefined && !same(workspace.organization ?? '-', organization)) return false;
  if (environment !== undefined && !same(workspace.environment?.value, environment)) return false;
  if (query === undefined) return true;
  const text = [workspace.name, workspace.organization, workspace.description].join('\n').toLowerCase();
  return text.includes(query.toLowerCase());
}

function same(value: string | undefined, wanted: string): boolean {
  return value?.toLowerCase() === wanted.toLowerCase();
}

function workflowsOf({ workflows }: Workspace): Record<string, unknown> {
  const names = workflows.map(({ name }) => name);
  const shown = fitting(names, WORKFLOWS_CHARACTERS);
  return {
    workflows: names.slice(0, shown),
    ...(shown < names.length && { more_workflows: names.length - shown }),
  };
}

function row(workspace: Workspace, git: GitHead | null): Record<string, unknown> {
  return {
    name: workspace.name,
    organization: workspace.organization,
    environment: workspace.environment,
    path: workspace.path,
    blocks: workspace.blocks.length,
    ...workflowsOf(workspace),
    source: 'local',
    git,
    ...(!workspace.runnable && { runnable: false }),
    problems: workspace.problems.slice(0, 10),
    ...(workspace.problems.length > 10 && { more_problems: workspace.problems.length - 10 }),
  };
}
