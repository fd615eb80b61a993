import type { Action, Block } from '../blocks/block.ts';
import { canonicalJson, keyedDigest, sha256 } from '../shared/json.ts';
import type { GitState } from '../workspaces/git-state.ts';
import type { BaseImage, CustomImage } from './custom-image.ts';
import { cliCommand, type InstalledCli } from './cli-command.ts';
import type { BlockFiles } from '../workspaces/workspace-store.ts';
import { warningsOf } from './warnings.ts';
import { addressOf, type Workspace } from '../workspaces/workspace.ts';
import type { Mount } from './launch-spec.ts';
import { workdirOf, type Layout } from './layout.ts';
import type { Reach } from './reach.ts';

/** Digests of content at planning time, the same that a record pins (design.md section 4). */
export interface PlanPins {
  block: string | null;
  config: string;
  config_keys: { [key: string]: string };
  inventory: string | null;
  image: string | null;
}

export interface PlannedImage {
  reference: string;
  /** The engine's id; null: not there yet. */
  digest: string | null;
  chosen_by: string;
  /** Set where it is built from the workspace's Dockerfile. */
  build?: {
    dockerfile: string;
    digest: string;
    context: CustomImage['context'];
    bases: readonly BaseImage[];
    /** False: it is built before the action starts. */
    cached: boolean;
  };
}

export type PlanExecutor = 'docker' | 'local' | 'cli';

/** What an action would do, resolved from the files as they are now; nothing has been started. */
export interface Plan {
  workspace: Workspace;
  block: Block;
  action: Action;
  files: BlockFiles;
  /** A folder with the workspace as it was once, where definitions and blocks are from; null: they are today's. */
  view: string | null;
  /** Of the workspace's repository; a commit alone decides nothing, so it is no part of the digest. */
  git: GitState | null;
  executor: PlanExecutor;
  /** What runs the action, where that is not us. */
  cli: InstalledCli | null;
  /** Null: none, or one that the CLI chooses. */
  image: PlannedImage | null;
  /** The workspace's Dockerfile, for whoever builds it. */
  custom: CustomImage | null;
  layout: Layout;
  command: readonly string[];
  workdir: string;
  env: Readonly<Record<string, string>>;
  mounts: readonly Mount[];
  extra_hosts: readonly string[];
  timeout_ms: number | null;
  /** Hosts that it would work on, as far as they can be told. */
  reach: Reach;
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
  git: GitState | null;
  view: string | null;
  executor: PlanExecutor;
  cli: Plan['cli'];
  image: Plan['image'];
  custom: Plan['custom'];
  layout: Layout;
  env: Readonly<Record<string, string>>;
  mounts: readonly Mount[];
  extra_hosts: readonly string[];
  timeout_ms: number | null;
  reach: Reach;
  /** True: where somebody agrees to this plan by its digest, it can write nothing into the folders of its blocks. */
  locked: boolean;
  key: Uint8Array;
}

/** Pure: the same files and settings give the same digest. */
export function buildPlan(input: PlanInput): Plan {
  const { workspace, block, action, files, layout, key } = input;
  const command = commandOf(input);
  const workdir = input.executor === 'cli' ? layout.root : workdirOf(block, layout);
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
      ...(input.cli && { cli_version: input.cli.version }),
      image: input.image && imageContent(input.image),
      command,
      workdir,
      env: keyedDigest(key, input.env),
      mounts: input.mounts,
      extra_hosts: input.extra_hosts,
      dockerfile: files.dockerfile?.digest ?? null,
      hosts: input.reach.hosts,
      kubeconfig: files.kubeconfig?.digest ?? null,
      // Of a build the content counts, which is the same before and after it.
      pins: input.image?.build ? { ...pins, image: null } : pins,
    }),
  );
  return { ...input, command, workdir, pins, digest, warnings: warningsOf(input) };
}

function imageContent({ reference, digest, build }: PlannedImage): unknown[] {
  return build ? [reference, build.bases] : [reference, digest];
}

/** Playbooks get the snapshot as extra vars; a script's lines run in order in one shell, up to the first failure. */
function commandOf({ workspace, block, action, executor, cli, layout }: PlanInput): string[] {
  if (executor === 'cli') return cliCommand(cli, { workspace, block, action, runFolder: layout.run });
  if (action.kind === 'playbook') {
    return ['ansible-playbook', '-e', `@${layout.snapshot}`, `./${action.playbook ?? ''}`];
  }
  return ['/bin/bash', '-euo', 'pipefail', layout.script];
}
