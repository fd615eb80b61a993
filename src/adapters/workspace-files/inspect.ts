import type { Block } from '../../blocks/block.ts';
import type { BlockFiles, LocatedFile } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { checkConfig } from './config-schema.ts';
import { digestOf } from './digest.ts';
import { readInventory } from './inventory-file.ts';
import { firstOf, inventoryOf, kubeconfigOf, type Located, sshKeyOf } from './locate.ts';
import { secretsOf } from './secrets.ts';
import type { Unlocked } from './unlock.ts';

/** What the actions of one block would use, read from disk now. */
export async function inspectBlock(
  workspace: Workspace,
  block: Block,
  { opened, wrong_key, view = null }: Unlocked & { view?: string | null },
): Promise<BlockFiles> {
  const then = view === null ? workspace : { ...workspace, path: view };
  const [block_digest, inventory, kubeconfig, ssh_key, dockerfile, schema, secrets] = await Promise.all([
    digestOf(then.path, block.dirs),
    inventoryOf(workspace, block, view),
    kubeconfigOf(workspace, block, opened),
    sshKeyOf(workspace, opened),
    firstOf(then.path, [workspace.config.dockerfile]),
    checkConfig(then, block),
    secretsOf(workspace, block, opened),
  ]);
  return {
    block_digest,
    inventory: withoutPath(inventory),
    ...(await hostsOf(inventory)),
    kubeconfig: withoutPath(kubeconfig),
    ssh_key: withoutPath(ssh_key),
    dockerfile: withoutPath(dockerfile),
    schema,
    ...secrets,
    wrong_key,
    opened: Object.fromEntries(opened),
  };
}

async function hostsOf(
  file: Located | null,
): Promise<Pick<BlockFiles, 'groups' | 'hosts' | 'hosts_unknown'>> {
  if (!file?.path) return { groups: null, hosts: null, hosts_unknown: null };
  const { inventory, unknown } = await readInventory(file.path);
  return {
    groups: inventory,
    hosts: inventory && inventory.hosts,
    hosts_unknown: unknown && `${file.relative} ${unknown}`,
  };
}

function withoutPath(file: Located | null): LocatedFile | null {
  return file ? { relative: file.relative, digest: file.digest } : null;
}
