import type { Problem } from '../../blocks/block.ts';
import type { BlockDeclaration } from '../../blocks/declaration.ts';
import type { SecretsDeclaration } from '../../workspaces/declaration.ts';
import { fieldsOf } from './fields.ts';
import { readYaml } from './read-yaml.ts';
import { readBlocks, readEnv } from './workspace-file.ts';

export const SECRETS_FILE = 'secrets.poly';

/** secrets.poly has the shape of workspace.poly; only its values count, and no message quotes one. */
export async function readSecretsPoly(bytes: Uint8Array): Promise<SecretsDeclaration> {
  const file = SECRETS_FILE;
  const { root, problems: found } = await readYaml(bytes, file);
  const problems: Problem[] = [...found];
  if (root?.kind !== 'map') return { blocks: [], extraenv: {}, problems };
  const fields = fieldsOf(root, { file, problems, fold: true });
  const blocks = readBlocks(fields, { file, problems }, 'secrets');
  return { blocks: blocks.map(valuesOf), extraenv: readEnv(fields), problems };
}

/** What else is written there decides nothing: secrets must not change what a block is or does. */
function valuesOf({ name, at, layer, config, problems }: BlockDeclaration): BlockDeclaration {
  return {
    ...{ name, at, layer, config, problems },
    ...{ dir: null, text: {}, from: null, template: null, labels: {}, alias: null, about: {}, actions: [] },
    inventory: { from: null, filename: null },
    kubeconfig: { from: null, filename: null },
  };
}
