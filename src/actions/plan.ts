import { join } from 'node:path/posix';
import type { Action, Block } from '../blocks/block.ts';
import { canonicalJson, keyedDigest, sha256 } from '../shared/json.ts';
import type { BlockFiles } from '../workspaces/workspace-store.ts';
import { warningsOf } from './warnings.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import type { Mount } from './launch-spec.ts';
import type { Layout } from './layout.ts';

/** Digests of content at planning time, the same that a record pins (design.md section 4). */
export interface PlanPins {
  block: string | null;
  config: string;
  config_keys: { [key: string]: string };
  inventory: string | null;
  image: string | null;
}

/** What an action would do, resolved from the files as they are now; nothing has been started. */
export interface Plan {
  workspace: Workspace;
  block: Block;
  action: Action;
  files: BlockFiles;
  executor: 'docker' | 'local';
  image: { reference: string; digest: string | null; chosen_by: string } | null;
  layout: Layout;
  command: readonly string[];
  workdir: string;
  env: Readonly<Record<string, string>>;
  mounts: readonly Mount[];
  extra_hosts: readonly string[];
  timeout_ms: number | null;
  warnings: readonly string[];
  pins: PlanPins;
  /** SHA-256 over everything above that decides what happens. */
  digest: string;
}

export interface PlanInput {
  workspace: Workspace;
  block: Block;
  action: Action;
  files: BlockFiles;
  executor: 'docker' | 'local';
  image: Plan['image'];
  layout: Layout;
  env: Readonly<Record<string, string>>;
  mounts: readonly Mount[];
  extra_hosts: readonly string[];
  timeout_ms: number | null;
  key: Uint8Array;
}

/** Pure: the same files and settings give the same digest. */
export function buildPlan(input: PlanInput): Plan {
  const { workspace, block, action, files, layout, key } = input;
  const command = commandOf(action, layout);
  const workdir = block.dir === null ? layout.root : join(layout.root, block.dir);
  const pins: PlanPins = {
    block: files.block_digest,
    config: keyedDigest(key, block.config),
    config_keys: Object.fromEntries(
      Object.entries(block.config).map(([name, value]) => [name, keyedDigest(key, value)]),
    ),
    inventory: files.inventory?.digest ?? null,
    image: input.image?.digest ?? null,
  };
  const digest = sha256(
    canonicalJson({
      target: [addressOf(workspace), block.name, block.version, action.name],
      action,
      executor: input.executor,
      image: input.image && [input.image.reference, input.image.digest],
      command,
      workdir,
      env: keyedDigest(key, input.env),
      mounts: input.mounts,
      extra_hosts: input.extra_hosts,
      dockerfile: files.dockerfile?.digest ?? null,
      kubeconfig: files.kubeconfig?.digest ?? null,
      pins,
    }),
  );
  return { ...input, command, workdir, pins, digest, warnings: warningsOf(input) };
}

/** Playbooks get the snapshot as extra vars; a script's lines run in order in one shell, up to the first failure. */
function commandOf(action: Action, layout: Layout): string[] {
  if (action.kind === 'playbook') {
    return ['ansible-playbook', '-e', `@${layout.snapshot}`, `./${action.playbook ?? ''}`];
  }
  return ['/bin/bash', '-euo', 'pipefail', layout.script];
}
