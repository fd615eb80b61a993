import { stat } from 'node:fs/promises';
import type { Block } from '../../blocks/block.ts';
import { AppError } from '../../shared/errors.ts';
import { sha256 } from '../../shared/json.ts';
import { findBlock } from '../../workspaces/find.ts';
import type { LocatedFile } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { checkRelative, containedPath } from './contained.ts';
import { digestFile } from './digest.ts';

export interface Located extends LocatedFile {
  /** Real path on the host; null for an encrypted file, which only memory has. */
  path: string | null;
}

type Opened = ReadonlyMap<string, Uint8Array>;

/** The first of the candidates that is there. One that leads out of the workspace is refused, not skipped. */
export async function firstOf(
  root: string,
  candidates: readonly string[],
  opened: Opened = new Map(),
): Promise<Located | null> {
  for (const relative of candidates) {
    const path = await containedPath(root, relative);
    const content = opened.get(relative);
    if (path === null && content) return { relative, path: null, digest: sha256(content) };
    if (path === null) continue;
    if (!(await stat(path)).isFile())
      throw new AppError('broken_definition', `${relative} is not a regular file.`);
    return { relative, path, digest: (await digestFile(path)).digest };
  }
  return null;
}

type Choice = 'inventory' | 'kubeconfig';

/** The block whose files count: the one that `inventory.from` or `kubeconfig.from` leads to, step by step. */
export function ownerOf(workspace: Workspace, block: Block, choice: Choice): Block {
  const seen = [block];
  let owner = block;
  while (owner[choice].from !== null) {
    owner = findBlock(workspace, owner[choice].from);
    const names = [...seen, owner].map((member) => member.name).join(' → ');
    if (seen.includes(owner))
      throw new AppError('broken_definition', `${choice}.from is circular: ${names}.`);
    seen.push(owner);
  }
  return owner;
}

/** Folder of what belongs to one block, as the CLI lays it out (polycrate-cli facts 2.1). */
function artifactsOf({ config }: Workspace, block: Block): string {
  return `${config.artifactsroot}/${config.blocksroot}/${block.name}`;
}

/** polycrate-cli facts 4.9; none: the image's own `/etc/ansible/hosts` is used. */
export async function inventoryOf(
  workspace: Workspace,
  block: Block,
  view: string | null,
): Promise<Located | null> {
  const owner = ownerOf(workspace, block, 'inventory');
  const candidates = [
    `${artifactsOf(workspace, owner)}/${checkRelative(owner.inventory.filename ?? 'inventory.yml')}`,
    workspace.inventory ?? 'inventory.yml',
  ];
  for (const candidate of candidates) {
    const found =
      (view === null ? null : await firstOf(view, [candidate])) ??
      (await firstOf(workspace.path, [candidate]));
    if (found) return found;
  }
  return null;
}

/** polycrate-cli facts 4.9 and, newer, the secrets folder; the user's own kubeconfig is never used. */
export async function kubeconfigOf(
  workspace: Workspace,
  block: Block,
  opened: Opened,
): Promise<Located | null> {
  const owner = ownerOf(workspace, block, 'kubeconfig');
  const { artifactsroot, blocksroot } = workspace.config;
  const filename = checkRelative(owner.kubeconfig.filename ?? 'kubeconfig.yml');
  const candidates = [
    `${artifactsOf(workspace, owner)}/${filename}`,
    `${artifactsroot}/secrets/${owner.name}/${filename}`,
    ...(workspace.kubeconfig === null ? [] : [workspace.kubeconfig]),
    `${artifactsroot}/secrets/kubeconfig.yml`,
    `${artifactsroot}/${blocksroot}/k8s/kubeconfig.yml`,
  ];
  return firstOf(workspace.path, candidates, opened);
}

export function sshKeyOf({ path, config }: Workspace, opened: Opened): Promise<Located | null> {
  return firstOf(path, [config.sshprivatekey, `${config.artifactsroot}/secrets/id_rsa`], opened);
}
