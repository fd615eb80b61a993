import type { Block } from '../../blocks/block.ts';
import type { BlockFiles, LocatedFile } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { checkConfig } from './config-schema.ts';
import { digestOf } from './digest.ts';
import { hostsOf } from './inventory-hosts.ts';
import { firstOf, inventoryOf, kubeconfigOf, type Located, sshKeyOf } from './locate.ts';
import { secretsOf } from './secrets.ts';
import type { Unlocked } from './unlock.ts';

/** What the actions of one block would use, read from disk now. */
export async function inspectBlock(
  workspace: Workspace,
  block: Block,
  { opened, wrong_key }: Unlocked,
): Promise<BlockFiles> {
  const [block_digest, inventory, kubeconfig, ssh_key, dockerfile, schema, secrets] = await Promise.all([
    digestOf(workspace.path, block.dirs),
    inventoryOf(workspace, block),
    kubeconfigOf(workspace, block, opened),
    sshKeyOf(workspace, opened),
    firstOf(workspace.path, [workspace.config.dockerfile]),
    checkConfig(workspace, block),
    secretsOf(workspace, block, opened),
  ]);
  return {
    block_digest,
    inventory: withoutPath(inventory),
    hosts: inventory?.path ? await hostsOf(inventory.path) : null,
    kubeconfig: withoutPath(kubeconfig),
    ssh_key: withoutPath(ssh_key),
    dockerfile: withoutPath(dockerfile),
    schema,
    ...secrets,
    wrong_key,
    opened: Object.fromEntries(opened),
  };
}

function withoutPath(file: Located | null): LocatedFile | null {
  return file ? { relative: file.relative, digest: file.digest } : null;
}
