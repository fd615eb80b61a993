import type { BlockDeclaration } from '../blocks/declaration.ts';
import type { Problem } from '../blocks/block.ts';
import type { ToolchainConfig, Workflow, Workspace } from './workspace.ts';

/** Defaults of the CLI for `config` (polycrate-cli facts 1.5); `image` null: the workspace names none. */
export const CONFIG_DEFAULTS: ToolchainConfig = {
  image: null,
  blocksroot: 'blocks',
  artifactsroot: 'artifacts',
  containerroot: '/workspace',
  sshprivatekey: 'id_rsa',
  sshpublickey: 'id_rsa.pub',
  dockerfile: 'Dockerfile.poly',
  logsroot: '.logs',
  workflowsroot: 'workflows',
  remoteroot: '/polycrate',
  globals: {},
  logging: null,
};

/** What workspace.poly says, before its blocks are joined with those on disk. */
export interface WorkspaceDeclaration extends Pick<
  Workspace,
  | 'organization'
  | 'description'
  | 'version'
  | 'identifier'
  | 'alias'
  | 'labels'
  | 'meta'
  | 'dependencies'
  | 'config'
  | 'unread'
  | 'extraenv'
  | 'extramounts'
  | 'inventory'
  | 'kubeconfig'
> {
  /** Null where it is missing or not a valid name. */
  name: string | null;
  blocks: readonly BlockDeclaration[];
  workflows: readonly Workflow[];
  problems: readonly Problem[];
}

/** What secrets.poly says: only values that go over those of workspace.poly. */
export interface SecretsDeclaration {
  blocks: readonly BlockDeclaration[];
  extraenv: Readonly<Record<string, string>>;
  problems: readonly Problem[];
}

/** Stands in for a workspace.poly that cannot be read, so that the folder is still listed with its problems. */
export function unreadableWorkspace(problems: readonly Problem[]): WorkspaceDeclaration {
  return {
    name: null,
    organization: null,
    description: null,
    version: null,
    identifier: null,
    alias: [],
    labels: {},
    meta: {},
    dependencies: [],
    config: CONFIG_DEFAULTS,
    unread: {},
    extraenv: {},
    extramounts: [],
    inventory: null,
    kubeconfig: null,
    blocks: [],
    workflows: [],
    problems,
  };
}
