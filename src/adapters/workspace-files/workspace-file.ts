import { posix } from 'node:path';
import type { Problem } from '../../blocks/block.ts';
import { staysBelow } from '../../blocks/actions.ts';
import { isMetadataName, nameProblem } from '../../shared/names.ts';
import {
  CONFIG_DEFAULTS,
  unreadableWorkspace,
  type WorkspaceDeclaration,
} from '../../workspaces/declaration.ts';
import type { ToolchainConfig } from '../../workspaces/workspace.ts';
import { readBlock } from './block-file.ts';
import { type Fields, fieldsOf } from './fields.ts';
import { readWorkflows } from './workflows.ts';
import type { MapNode, YamlFile } from './yaml-nodes.ts';

export const WORKSPACE_FILE = 'workspace.poly';
const DEFAULT_IMAGE = 'cargo.ayedo.cloud/library/polycrate';
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Where problems of workspace.poly go; keys outside blocks match in any case, as in the CLI (facts 1.2). */
interface Into {
  file: string;
  problems: Problem[];
  fold: true;
}

export function readWorkspaceFile(yaml: YamlFile): WorkspaceDeclaration {
  const file = WORKSPACE_FILE;
  const problems = [...yaml.problems];
  if (yaml.root?.kind !== 'map') {
    const message =
      'expected a mapping with name and organization; the file is empty or holds something else';
    const own: Problem = { severity: 'error', file, line: yaml.root?.line ?? null, message };
    return unreadableWorkspace(problems.length > 0 ? problems : [own]);
  }
  const into: Into = { file, problems, fold: true };
  const fields = fieldsOf(yaml.root, into);
  return {
    name: readName(fields),
    organization: readOrganization(fields),
    description: fields.text('description') || null,
    labels: fields.labels('labels'),
    config: readConfig(fields.map('config'), into),
    extraenv: readEnv(fields),
    extramounts: readMounts(fields),
    inventory: filename(fields, 'inventory', into),
    kubeconfig: filename(fields, 'kubeconfig', into),
    workflows: readWorkflows(fields.list('workflows'), into),
    blocks: readBlocks(fields, into),
    problems,
  };
}

function readName(fields: Fields): string | null {
  const name = fields.text('name');
  if (name && isMetadataName(name)) return name;
  const message = name
    ? 'name: must start with a letter and hold only letters, digits, _, and single - or /'
    : 'name: a workspace needs a name; the name of the folder is shown instead';
  fields.report(message, fields.line('name'));
  return null;
}

/** The CLI insists on an organization, but wrote files without one itself (facts, trap 13). */
function readOrganization(fields: Fields): string | null {
  const organization = fields.text('organization');
  if (!organization) {
    fields.report('organization: missing', fields.line('organization'), 'warning');
    return null;
  }
  const bad = nameProblem(organization);
  if (bad !== null) fields.report(`organization: ${bad}`, fields.line('organization'));
  else if (!isMetadataName(organization)) {
    fields.report('organization: the CLI refuses this name', fields.line('organization'), 'warning');
  }
  return bad === null ? organization : null;
}

function readConfig(map: MapNode | null, into: Into): ToolchainConfig {
  if (!map) return CONFIG_DEFAULTS;
  const fields = fieldsOf(map, { ...into, where: 'config' });
  const path = (
    key: 'blocksroot' | 'artifactsroot' | 'sshprivatekey' | 'sshpublickey' | 'dockerfile',
  ): string => {
    const value = fields.text(key);
    if (!value) return CONFIG_DEFAULTS[key];
    const path = posix.normalize(value).replace(/\/+$/, '');
    if (staysBelow(value) && path !== '.') return path;
    fields.report(
      `config.${key}: must be a path inside the workspace; ${CONFIG_DEFAULTS[key]} is used`,
      fields.line(key),
    );
    return CONFIG_DEFAULTS[key];
  };
  return {
    image: readImage(fields.map('image'), into),
    blocksroot: path('blocksroot'),
    artifactsroot: path('artifactsroot'),
    containerroot: containerRoot(fields),
    sshprivatekey: path('sshprivatekey'),
    sshpublickey: path('sshpublickey'),
    dockerfile: path('dockerfile'),
  };
}

function containerRoot(fields: Fields): string {
  const root = fields.text('containerroot');
  if (!root) return CONFIG_DEFAULTS.containerroot;
  if (/^\/[^:\0]*$/.test(root) && root !== '/' && !root.split('/').includes('..'))
    return root.replace(/\/+$/, '');
  fields.report(
    'config.containerroot: must be an absolute path; /workspace is used',
    fields.line('containerroot'),
  );
  return CONFIG_DEFAULTS.containerroot;
}

function readImage(map: MapNode | null, into: Into): string | null {
  if (!map) return null;
  const fields = fieldsOf(map, { ...into, where: 'config.image' });
  const reference = fields.text('reference') || null;
  const version = fields.text('version') || null;
  if (version === null) return reference;
  return `${reference ?? DEFAULT_IMAGE}:${version}`;
}

/** Values may hold secrets: a bad entry is named by its position only. */
function readEnv(fields: Fields): Record<string, string> {
  const entries = (fields.texts('extraenv') ?? []).flatMap((entry, index) => {
    const equals = entry.indexOf('=');
    const key = entry.slice(0, Math.max(equals, 0));
    if (ENV_NAME.test(key) && !entry.includes('\0')) return [[key, entry.slice(equals + 1)] as const];
    fields.report(`extraenv: entry ${index + 1} is not KEY=value`, fields.line('extraenv'));
    return [];
  });
  return Object.fromEntries(entries);
}

function readMounts(fields: Fields): { host: string; container: string }[] {
  return (fields.texts('extramounts') ?? []).flatMap((entry, index) => {
    const [host, container, ...more] = entry.split(':');
    if (host && container && more.length === 0) return [{ host, container }];
    fields.report(`extramounts: entry ${index + 1} is not host:container`, fields.line('extramounts'));
    return [];
  });
}

function filename(fields: Fields, key: 'inventory' | 'kubeconfig', into: Into): string | null {
  const map = fields.map(key);
  return map ? fieldsOf(map, { ...into, where: key }).text('filename') || null : null;
}

function readBlocks(fields: Fields, into: Into): WorkspaceDeclaration['blocks'] {
  return (fields.list('blocks')?.items ?? []).flatMap((node) => {
    if (node.kind !== 'map') {
      fields.report('blocks: an entry is not a mapping and is ignored', node.line);
      return [];
    }
    const problems: Problem[] = [];
    const block = readBlock(node, { file: into.file, problems, layer: 'workspace', dir: null });
    if (!block) into.problems.push(...problems);
    return block ? [block] : [];
  });
}
