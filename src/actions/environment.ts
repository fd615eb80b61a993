import { join } from 'node:path/posix';
import type { Action, Block } from '../blocks/block.ts';
import type { BlockFiles } from '../workspaces/workspace-store.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { RunFile } from './launch-spec.ts';
import { workdirOf, type Layout } from './layout.ts';

/** Where an image has its default inventory (polycrate-cli facts 1.5). */
const IMAGE_INVENTORY = '/etc/ansible/hosts';

interface Target {
  workspace: Workspace;
  block: Block;
  action: Action;
  files: BlockFiles;
  layout: Layout;
}

/** Folder of the run's own files for what was encrypted in the workspace. */
const OPENED = 'opened';

/** Where an execution finds a file of the workspace: opened ones lie with the run's own files. */
function placeOf(
  relative: string,
  { files, layout }: Pick<Target, 'files' | 'layout'>,
  root = layout.root,
): string {
  return Object.hasOwn(files.opened, relative) ? join(layout.run, OPENED, relative) : join(root, relative);
}

/** The variables an action sees, with the values that the CLI means (polycrate-cli facts 4.6). */
export function actionEnvironment(
  { workspace, block, action, files, layout }: Target,
  { container, image, version }: { container: boolean; image: string | null; version: string },
): Record<string, string> {
  const inside = (relative: string): string => placeOf(relative, { files, layout });
  const pinned = (relative: string): string => placeOf(relative, { files, layout }, layout.pinned);
  const [reference, tag] = splitImage(image);
  const inventory = files.inventory ? pinned(files.inventory.relative) : container ? IMAGE_INVENTORY : null;
  const key = files.ssh_key && inside(files.ssh_key.relative);
  return {
    ANSIBLE_ACTION_WARNINGS: 'False',
    ANSIBLE_COMMAND_WARNINGS: 'False',
    ANSIBLE_DEPRECATION_WARNINGS: 'False',
    ANSIBLE_LOCALHOST_WARNING: 'False',
    ANSIBLE_DISPLAY_OK_HOSTS: 'True',
    ANSIBLE_DISPLAY_SKIPPED_HOSTS: 'False',
    ANSIBLE_HOST_KEY_CHECKING: 'False',
    ANSIBLE_STDOUT_CALLBACK: 'ansible.builtin.default',
    ANSIBLE_CALLBACK_RESULT_FORMAT: 'yaml',
    ANSIBLE_INVENTORY_ENABLED: 'yaml,hcloud,host_list,script,auto,ini,toml',
    ANSIBLE_VERBOSITY: '1',
    ...(inventory && { ANSIBLE_INVENTORY: inventory }),
    ...(key && { ANSIBLE_PRIVATE_KEY_FILE: key, ANSIBLE_SSH_PRIVATE_KEY_FILE: key }),
    ...(files.kubeconfig && { KUBECONFIG: pinned(files.kubeconfig.relative) }),
    IN_CI: 'true',
    IN_CONTAINER: container ? '1' : '0',
    TERM: 'xterm-256color',
    POLYCRATE_BLOCK: block.name,
    POLYCRATE_ACTION: action.name,
    POLYCRATE_WORKSPACE: layout.root,
    POLYCRATE_WORKSPACE_SNAPSHOT_YAML: layout.snapshot,
    POLYCRATE_BLOCK_WORKDIR: workdirOf(block, layout),
    POLYCRATE_FORCE: '1',
    POLYCRATE_VERSION: version,
    ...(reference && { POLYCRATE_IMAGE_REFERENCE: reference }),
    ...(tag && { POLYCRATE_IMAGE_VERSION: tag }),
    ...workspace.extraenv,
  };
}

function splitImage(image: string | null): [string, string] | [] {
  if (image === null) return [];
  const colon = image.lastIndexOf(':');
  return colon > image.lastIndexOf('/') ? [image.slice(0, colon), image.slice(colon + 1)] : [image, 'latest'];
}

function imageParts(image: string | null): { reference: string | null; version: string | null } {
  const [reference = null, version = null] = splitImage(image);
  return { reference, version };
}

/** Labels that the CLI puts on every block (polycrate-cli facts 2.2). */
function computedLabels(workspace: Workspace, block: Block): Record<string, string> {
  return {
    'workspaces.polycrate.io/name': workspace.name,
    ...(workspace.organization && { 'organizations.polycrate.io/name': workspace.organization }),
    'blocks.polycrate.io/name': block.name,
    ...(block.kind && { 'blocks.polycrate.io/kind': block.kind }),
    'polycrate.io/managed-by': 'cli',
    ...(block.kind === 'k8sappinstance' && {
      'k8sappinstances.polycrate.io/name': block.name,
      'logs.polycrate.io/source': 'app',
    }),
  };
}

/** What playbooks get as extra vars. */
export function snapshotOf({ workspace, block, action, files, layout }: Target): Record<string, unknown> {
  const secrets = Object.fromEntries(
    Object.entries(files.secrets).map(([name, relative]) => [name, placeOf(relative, { files, layout })]),
  );
  return {
    workspace: {
      name: workspace.name,
      organization: workspace.organization,
      description: workspace.description,
      version: workspace.version,
      identifier: workspace.identifier,
      labels: workspace.labels,
      meta: workspace.meta,
      path: layout.root,
      config: { ...workspace.config, image: imageParts(workspace.config.image) },
      secrets,
    },
    block: {
      name: block.name,
      version: block.version,
      app_version: block.app_version,
      kind: block.kind,
      type: block.type,
      flavor: block.flavor,
      description: block.description,
      from: block.from,
      labels: { ...block.labels, ...computedLabels(workspace, block) },
      config: block.config,
      workdir: { containerpath: workdirOf(block, layout) },
    },
    // Without the script's text: Ansible would template whatever stands in it.
    action: {
      name: action.name,
      description: action.description,
      playbook: action.playbook,
      labels: action.labels,
      config: action.config,
    },
  };
}

/** The run's own files: the snapshot that playbooks get as extra vars, and the script of script actions. */
export function runFiles(target: Target): RunFile[] {
  const { action, files } = target;
  const written: RunFile[] = [{ name: 'snapshot.yml', content: JSON.stringify(snapshotOf(target)) }];
  if (action.kind === 'script') written.push({ name: 'script.sh', content: `${action.script.join('\n')}\n` });
  const used = [...Object.values(files.secrets), files.ssh_key?.relative, files.kubeconfig?.relative];
  for (const relative of new Set(used)) {
    const content = relative === undefined ? undefined : files.opened[relative];
    if (relative !== undefined && content)
      written.push({ name: join(OPENED, relative), content: base64(content), encoding: 'base64' });
  }
  return written;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
