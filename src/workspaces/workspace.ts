import type { Block, Problem } from '../blocks/block.ts';

export interface WorkflowStep {
  name: string;
  block: string;
  action: string;
  prompt: string | null;
}

export interface Workflow {
  name: string;
  description: string | null;
  allow_failure: boolean;
  prompt: string | null;
  steps: readonly WorkflowStep[];
  /** Set when it cannot be run: a step that names no block, an unknown action … */
  problem: string | null;
}

/** The environment of a workspace ("production") and where that word comes from. */
export interface Environment {
  value: string;
  origin: 'label' | 'block_config' | 'api' | 'configured';
}

/** `config` of workspace.poly with the CLI's defaults filled in (polycrate-cli facts 1.5). */
export interface ToolchainConfig {
  /** `reference:version`, or null where the workspace names none. */
  image: string | null;
  blocksroot: string;
  artifactsroot: string;
  containerroot: string;
  sshprivatekey: string;
  sshpublickey: string;
  dockerfile: string;
  logsroot: string;
  workflowsroot: string;
  remoteroot: string;
  /** Values for all playbooks: secrets included, mask before they leave the process. */
  globals: Readonly<Record<string, unknown>>;
  /** The CLI's own event log; null where the file does not say. */
  logging: { enabled: boolean | null; path: string | null } | null;
}

/** A mount that a workspace asks for. */
export interface ExtraMount {
  host: string;
  container: string;
  readonly: boolean;
}

export interface Workspace {
  name: string;
  /** Null where the file names none; shown as `-` in addresses. */
  organization: string | null;
  /** Absolute real path of the folder. */
  path: string;
  description: string | null;
  version: string | null;
  identifier: string | null;
  alias: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** Free text about the workspace: mask secrets before it leaves the process. */
  meta: Readonly<Record<string, unknown>>;
  /** References of blocks that `polycrate workspace update` pulls. */
  dependencies: readonly string[];
  environment: Environment | null;
  blocks: readonly Block[];
  workflows: readonly Workflow[];
  config: ToolchainConfig;
  /** Keys that only the CLI reads (registry, events, sync …): kept for the secrets in them, never shown. */
  unread: Readonly<Record<string, unknown>>;
  /** `KEY=value` entries, split at the first `=`. */
  extraenv: Readonly<Record<string, string>>;
  /** `host:container` or `host:container:ro` as written; whether they may be used is policy. */
  extramounts: readonly ExtraMount[];
  inventory: string | null;
  kubeconfig: string | null;
  /** Problems of workspace.poly and of everything below it. */
  problems: readonly Problem[];
  /** Where the CLI of 2025 would do something else with workspace.poly itself. */
  differences: readonly Problem[];
  /** False for the current folder when nobody named it: it is listed, but runs nothing. */
  runnable: boolean;
}

/** Files that are the workspace's own, and not one of its blocks'. */
const OWN_FILES = ['workspace.poly', 'secrets.poly'];

/**
 * Set when no action of the workspace can run, and says why: workspace.poly or secrets.poly is not usable. Errors in
 * blocks do not count, also where workspace.poly declares them.
 */
export function workspaceBlockerOf(workspace: Pick<Workspace, 'problems' | 'blocks'>): string | null {
  const own = workspace.problems.filter(
    ({ severity, file }) => severity === 'error' && OWN_FILES.includes(file),
  );
  const ofBlocks = new Set(workspace.blocks.flatMap((block) => block.problems));
  const error = own.find((problem) => !ofBlocks.has(problem));
  return error ? `${error.file}${error.line === null ? '' : `:${error.line}`}: ${error.message}` : null;
}

/** `organization/name`: the address that is never ambiguous among the configured workspaces. */
export function addressOf(workspace: Pick<Workspace, 'organization' | 'name'>): string {
  return `${workspace.organization ?? '-'}/${workspace.name}`;
}
