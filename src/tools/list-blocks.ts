import { z } from 'zod';
import type { Action, Block } from '../blocks/block.ts';
import { parseBlockRef } from '../shared/names.ts';
import { findWorkspace } from '../workspaces/find.ts';
import { AppError } from '../shared/errors.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import { pageOf } from './cursor.ts';
import * as field from './fields.ts';
import { checkKnown } from './known-value.ts';
import { fitting, rowsThatFit } from './present-run.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

const inputSchema = z.object({
  workspace: field.workspaceName.optional(),
  query: z.string().max(200).describe('Part of block name, description or action name').optional(),
  kind: z.string().describe('For example k8sapp').optional(),
  from: z.string().describe('Block it is made from, with or without registry host and version').optional(),
  limit: field.limit,
  cursor: field.sameCursor,
});
const outputSchema = z.object({ blocks: field.openObjects, ...field.page });

export type BlocksInput = z.output<typeof inputSchema>;
export type BlocksPage = z.input<typeof outputSchema>;

export const listBlocks = defineTool({
  name: 'list_blocks',
  title: 'List blocks and their actions',
  description: 'Lists blocks with version, origin and actions, of one workspace or of all.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: inputSchema,
  output: outputSchema,
  run: blocksHere,
});

/** Those of this machine, and those that only a Polycrate API has. */
export async function blocksHere(
  services: Pick<Services, 'store' | 'remote' | 'scope'>,
  { limit, cursor, ...filters }: BlocksInput,
): Promise<BlocksPage> {
  const all = await services.store.list(filters.workspace);
  const remote = await onlyRemote(services, all, filters.workspace);
  const wanted = filters.workspace;
  const workspaces = wanted === undefined ? all : remote.length > 0 ? [] : [findWorkspace(all, wanted)];
  const blocks = [...workspaces.flatMap((workspace) => workspace.blocks), ...remote];
  checkKnown(
    'kind',
    filters.kind,
    blocks.map(({ kind }) => kind),
  );
  checkKnown('from', filters.from, blocks.flatMap(originsOf));
  const rows = [
    ...workspaces.flatMap((workspace) =>
      workspace.blocks
        .filter((block) => matches(block, filters))
        .map((block) => () => row({ workspace, block })),
    ),
    ...remote.filter((block) => matches(block, filters)).map((block) => () => remoteRow(block)),
  ];
  const fits = (some: readonly (() => Record<string, unknown>)[]): number =>
    rowsThatFit(
      some.map((show) => show()),
      limit,
    );
  const question = ['list_blocks', filters, services.scope];
  const { items, ...page } = pageOf(rows, { limit, cursor, question, fits });
  return { blocks: items.map((show) => show()), ...page };
}

/** Blocks of workspaces that only a Polycrate API has; of one workspace, if it is not here. */
async function onlyRemote(
  { remote }: Pick<Services, 'remote'>,
  local: readonly Workspace[],
  wanted: string | undefined,
) {
  const here = new Set(local.map(addressOf));
  const address = ({
    organization,
    workspace,
  }: {
    organization: string | null;
    workspace: string | null;
  }): string => addressOf({ organization, name: workspace ?? '-' });
  if (wanted !== undefined && local.some((one) => one.name === wanted || addressOf(one) === wanted))
    return [];
  const blocks = (await remote.blocks()).filter((block) => !here.has(address(block)));
  const those = blocks.filter(
    (block) => wanted === undefined || block.workspace === wanted || address(block) === wanted,
  );
  const addresses = [...new Set(those.map(address))];
  if (wanted === undefined || addresses.length <= 1) return those.map(asBlock);
  throw new AppError(
    'ambiguous_name',
    `"${wanted}" names ${addresses.length} workspaces of the Polycrate API`,
    {
      valid: addresses,
      next: 'Use organization/name.',
    },
  );
}

type RemoteBlock = ReturnType<typeof asBlock>;

/** What its actions are, lists of the API do not tell. */
function asBlock(block: Awaited<ReturnType<Services['remote']['blocks']>>[number]) {
  return { ...block, from: null, description: null, actions: [] as Action[] };
}

function remoteRow({
  name,
  workspace,
  organization,
  version,
  kind,
  template,
  endpoint,
}: RemoteBlock): Record<string, unknown> {
  return {
    name,
    workspace,
    organization,
    version,
    kind,
    ...(template && { template }),
    source: 'api',
    endpoint,
    actions: [],
    problems: [],
  };
}

type Listed = Pick<Block, 'name' | 'kind' | 'from' | 'description' | 'actions'>;

interface Filters {
  query?: string | undefined;
  kind?: string | undefined;
  from?: string | undefined;
}

function matches(block: Listed, { query, kind, from }: Filters): boolean {
  if (kind !== undefined && block.kind?.toLowerCase() !== kind.toLowerCase()) return false;
  if (from !== undefined && !isFrom(block, from)) return false;
  if (query === undefined) return true;
  const text = [block.name, block.description, ...block.actions.map(({ name }) => name)]
    .join('\n')
    .toLowerCase();
  return text.includes(query.toLowerCase());
}

function isFrom(block: Listed, wanted: string): boolean {
  return originsOf(block).some((origin) => origin.toLowerCase() === wanted.toLowerCase());
}

/** Every way to name the block it is made from: with or without the parts before its last, and its version. */
function originsOf({ from }: Pick<Block, 'from'>): string[] {
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
    ...actionsOf(block),
    problems: block.problems.slice(0, 10),
    ...(block.problems.length > 10 && { more_problems: block.problems.length - 10 }),
  };
}

/** get_block has all of them. */
const ACTIONS_CHARACTERS = 6_000;

function actionsOf({ actions }: Block): Record<string, unknown> {
  const rows = actions.map(actionRow);
  const shown = fitting(rows, ACTIONS_CHARACTERS);
  return { actions: rows.slice(0, shown), ...(shown < rows.length && { more_actions: rows.length - shown }) };
}

function actionRow({ name, kind, description, problem }: Action): Record<string, unknown> {
  return { name, kind, description, ...(problem !== null && { problem }) };
}
