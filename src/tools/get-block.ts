import { z } from 'zod';
import type { Action } from '../blocks/block.ts';
import { maskSecrets } from '../shared/secrets.ts';
import { findBlock, findWorkspace } from '../workspaces/find.ts';
import * as field from './fields.ts';
import { beginningOf, clipped, portionOf, restOf } from './portion.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

export const getBlock = defineTool({
  name: 'get_block',
  title: 'Get a block',
  description:
    'Shows one block as it takes effect: merged configuration with secrets masked, the origin of each value, its actions in full, inventory and image.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({ workspace: field.workspaceName, block: field.blockName, cursor: field.sameCursor }),
  output: z.object({ block: z.looseObject({ name: z.string() }) }),
  run: blockHere,
});

export async function blockHere(
  { store, settings }: Pick<Services, 'store' | 'settings'>,
  input: { workspace: string; block: string; cursor?: string | undefined },
): Promise<{ block: Described }> {
  const workspace = findWorkspace(await store.list(input.workspace), input.workspace);
  const block = findBlock(workspace, input.block);
  const [files, documents] = await Promise.all([
    store.inspect(workspace, block),
    store.documents(workspace, block),
  ]);
  const beside = {
    name: block.name,
    workspace: workspace.name,
    organization: workspace.organization,
    version: block.version,
    app_version: block.app_version,
    kind: block.kind,
    description: block.description,
    labels: block.labels,
    ...(block.alias.length > 0 && { alias: block.alias }),
    ...(Object.keys(block.about).length > 0 && { about: block.about }),
    from: block.from,
    template: block.template,
    declared_in: block.declared_in,
    inventory: files.inventory?.relative ?? null,
    hosts: files.hosts,
    ...(files.hosts_unknown !== null && { hosts_note: files.hosts_unknown }),
    image: workspace.config.image ?? settings.image ?? settings.default_image,
    ...(files.schema && { schema: files.schema }),
    ...documents,
  };
  const lists = {
    config: Object.entries(maskSecrets(block.config) as Record<string, unknown>).map(inShort),
    origin: Object.entries(block.origin),
    actions: block.actions.map(actionRow),
    secret_files: Object.keys(files.secrets),
    problems: block.problems,
    ...(files.hosts && { hosts: files.hosts }),
  };
  return shownOf(beside, lists, { cursor: input.cursor, digest: files.block_digest });
}

function actionRow({ config, script, ...action }: Action): Record<string, unknown> {
  const short = Object.fromEntries(Object.entries(maskSecrets(config) as Record<string, unknown>).map(inShort));
  return { ...action, ...beginningOf({ script }, VALUE_CHARACTERS), config: short };
} // prettier-ignore

type Described = Record<string, unknown> & { name: string };

/** As much of a block as an answer has room for; the cursor leads to the rest of this very block. */
function shownOf(
  { hosts, ...rest }: Described,
  lists: Record<string, readonly unknown[]>,
  { cursor, digest }: { cursor: string | undefined; digest: string },
): { block: Described } {
  const beside = clipped(rest) as Described;
  const question = ['get_block', rest['organization'], rest['workspace'], rest.name, digest];
  const portion = portionOf(lists, { cursor, question, beside });
  const { config, origin, ...shown } = portion.shown as Record<string, unknown[]> & MapsShown;
  return {
    block: {
      ...beside,
      ...(config && { config: Object.fromEntries(config) }),
      ...(origin && { origin: Object.fromEntries(origin) }),
      ...(hosts === null && { hosts }),
      ...shown,
    },
    ...restOf(portion),
  };
}

interface MapsShown {
  config?: [string, unknown][];
  origin?: [string, unknown][];
}

/** Of one top-level value of a configuration, and of one script. */
const VALUE_CHARACTERS = 4_000;

/** A value that no answer has room for is in the resource of the block. */
function inShort([name, value]: [string, unknown]): [string, unknown] {
  const { length } = JSON.stringify(value) ?? '';
  return [name, length <= VALUE_CHARACTERS ? value : `… (${length} characters; the resource of the block has it)`];
} // prettier-ignore
