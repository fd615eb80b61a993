import { z } from 'zod';
import type { Workspace } from '../workspaces/workspace.ts';
import { pageOf } from './cursor.ts';
import * as field from './fields.ts';
import { checkKnown } from './known-value.ts';
import { defineTool } from './tool.ts';

export const listWorkspaces = defineTool({
  name: 'list_workspaces',
  title: 'List workspaces',
  description:
    'Lists the Polycrate workspaces this server knows, with environment, number of blocks and problems of their definitions.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({
    organization: z.string().optional(),
    environment: z.string().describe('For example production').optional(),
    query: z.string().max(200).describe('Part of name, organization or description').optional(),
    limit: field.limit,
    cursor: field.cursor,
  }),
  output: z.object({ workspaces: field.openObjects, ...field.page }),
  async run(services, { limit, cursor, ...filters }) {
    const all = await services.store.list();
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
    const { items, ...page } = pageOf(found, { limit, cursor, question: ['list_workspaces', filters] });
    return { workspaces: items.map(row), ...page };
  },
});

interface Filters {
  organization?: string | undefined;
  environment?: string | undefined;
  query?: string | undefined;
}

function matches(workspace: Workspace, { organization, environment, query }: Filters): boolean {
  if (organization !== undefined && !same(workspace.organization ?? '-', organization)) return false;
  if (environment !== undefined && !same(workspace.environment?.value, environment)) return false;
  if (query === undefined) return true;
  const text = [workspace.name, workspace.organization, workspace.description].join('\n').toLowerCase();
  return text.includes(query.toLowerCase());
}

function same(value: string | undefined, wanted: string): boolean {
  return value?.toLowerCase() === wanted.toLowerCase();
}

function row(workspace: Workspace): Record<string, unknown> {
  return {
    name: workspace.name,
    organization: workspace.organization,
    environment: workspace.environment,
    path: workspace.path,
    blocks: workspace.blocks.length,
    workflows: workspace.workflows.length,
    source: 'local',
    git: null,
    ...(!workspace.runnable && { runnable: false }),
    problems: workspace.problems.slice(0, 10),
    ...(workspace.problems.length > 10 && { more_problems: workspace.problems.length - 10 }),
  };
}
