import { z } from 'zod';
import type { Action, Block } from '../blocks/block.ts';
import { parseBlockRef } from '../shared/names.ts';
import { findWorkspace } from '../workspaces/find.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import { pageOf } from './cursor.ts';
import * as field from './fields.ts';
import { checkKnown } from './known-value.ts';
import { defineTool } from './tool.ts';

export const listBlocks = defineTool({
  name: 'list_blocks',
  title: 'List blocks and their actions',
  description: 'Lists blocks with version, origin and actions, of one workspace or of all.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({
    workspace: field.workspaceName.optional(),
    query: z.string().max(200).describe('Part of block name, description or action name').optional(),
    kind: z.string().describe('For example k8sapp').optional(),
    from: z.string().describe('Block it is made from, with or without registry host and version').optional(),
    limit: field.limit,
    cursor: field.cursor,
  }),
  output: z.object({ blocks: field.openObjects, ...field.page }),
  async run(services, { limit, cursor, ...filters }) {
    const all = await services.store.list();
    const workspaces = filters.workspace === undefined ? all : [findWorkspace(all, filters.workspace)];
    const blocks = workspaces.flatMap((workspace) => workspace.blocks);
    checkKnown(
      'kind',
      filters.kind,
      blocks.map(({ kind }) => kind),
    );
    checkKnown('from', filters.from, blocks.flatMap(originsOf));
    const found = workspaces.flatMap((workspace) =>
      workspace.blocks.filter((block) => matches(block, filters)).map((block) => ({ workspace, block })),
    );
    const { items, ...page } = pageOf(found, { limit, cursor, question: ['list_blocks', filters] });
    return { blocks: items.map(row), ...page };
  },
});

interface Filters {
  query?: string | undefined;
  kind?: string | undefined;
  from?: string | undefined;
}

function matches(block: Block, { query, kind, from }: Filters): boolean {
  if (kind !== undefined && block.kind?.toLowerCase() !== kind.toLowerCase()) return false;
  if (from !== undefined && !isFrom(block, from)) return false;
  if (query === undefined) return true;
  const text = [block.name, block.description, ...block.actions.map(({ name }) => name)]
    .join('\n')
    .toLowerCase();
  return text.includes(query.toLowerCase());
}

function isFrom(block: Block, wanted: string): boolean {
  return originsOf(block).some((origin) => origin.toLowerCase() === wanted.toLowerCase());
}

/** Every way to name the block it is made from: with or without the parts before its last, and its version. */
function originsOf({ from }: Block): string[] {
  if (from === null) return [];
  const { name } = parseBlockRef(from);
  return [from, name].flatMap((reference) => {
    const parts = reference.split('/');
    return parts.map((_, first) => parts.slice(first).join('/'));
  });
}

function row({ workspace, block }: { workspace: Workspace; block: Block }): Record<string, unknown> {
  return {
    name: block.name,
    workspace: workspace.name,
    version: block.version,
    kind: block.kind,
    from: block.from,
    ...(block.template && { template: true }),
    actions: block.actions.map(actionRow),
    problems: block.problems,
  };
}

function actionRow({ name, kind, description, problem }: Action): Record<string, unknown> {
  return { name, kind, description, ...(problem !== null && { problem }) };
}
