import { z } from 'zod';
import { maskSecrets } from '../shared/secrets.ts';
import { findBlock, findWorkspace } from '../workspaces/find.ts';
import * as field from './fields.ts';
import { defineTool } from './tool.ts';

export const getBlock = defineTool({
  name: 'get_block',
  title: 'Get a block',
  description:
    'Shows one block as it takes effect: merged configuration with secrets masked, where each value comes from, its actions in full, and the inventory and image its actions use.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({ workspace: field.workspaceName, block: field.blockName }),
  output: z.object({ block: z.looseObject({ name: z.string() }) }),
  async run({ store, settings }, input) {
    const workspace = findWorkspace(await store.list(), input.workspace);
    const block = findBlock(workspace, input.block);
    const [files, documents] = await Promise.all([
      store.inspect(workspace, block),
      store.documents(workspace, block),
    ]);
    return {
      block: {
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
        config: maskSecrets(block.config),
        origin: block.origin,
        actions: block.actions.map((action) => ({ ...action, config: maskSecrets(action.config) })),
        inventory: files.inventory?.relative ?? null,
        hosts: files.hosts,
        secret_files: Object.keys(files.secrets),
        image: workspace.config.image ?? settings.image ?? settings.default_image,
        ...(files.schema && { schema: files.schema }),
        ...documents,
        problems: block.problems,
      },
    };
  },
});
