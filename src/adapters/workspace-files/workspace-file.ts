import { posix } from 'node:path';
import type { Problem } from '../../blocks/block.ts';
import { staysBelow } from '../../blocks/actions.ts';
import { capitalKeys } from '../../blocks/differences.ts';
import { isMetadataName, nameProblem } from '../../shared/names.ts';
import {
  CONFIG_DEFAULTS,
  unreadableWorkspace,
  type WorkspaceDeclaration,
} from '../../workspaces/declaration.ts';
import type { ExtraMount, ToolchainConfig } from '../../workspaces/workspace.ts';
import { readBlock } from './block-file.ts';
import { type Fields, fieldsOf } from './fields.ts';
import { readWorkflows } from './workflows.ts';
import { type MapNode, plain, plainMap, type YamlFile } from './yaml-nodes.ts';

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
    version: fields.text('version') || null,
    identifier: fields.text('identifier') || null,
    alias: fields.texts('alias') ?? [],
    labels: readLabels(fields, into),
    meta: plainOf(fields.map('meta')),
    dependencies: fields.texts('dependencies') ?? [],
    config: readConfig(fields.map('config'), into),
    unread: readUnread(yaml.root),
    extraenv: readEnv(fields),
    extramounts: readMounts(fields),
    inventory: filename(fields, 'inventory', into),
    kubeconfig: filename(fields, 'kubeconfig', into),
    workflows: readWorkflows(fields.list('workflows'), into),
    blocks: readBlocks(fields, into, 'workspace'),
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

/** Labels keep their case here; the CLI of 2025 lost it (facts 1.2). */
function readLabels(fields: Fields, into: Into): Record<string, string> {
  const labels = fields.labels('labels');
  noteCapitals('labels', labels, { into, line: fields.line('labels') });
  return labels;
}

function noteCapitals(where: string, values: object, { into, line }: { into: Into; line: number }): void {
  const keys = capitalKeys(values);
  if (keys.length === 0) return;
  const message = `${where}: the 2025 CLI turns these keys into lower case: ${keys.join(', ')}`;
  into.problems.push({ severity: 'difference', file: into.file, line, message });
}

function plainOf(map: MapNode | null): Readonly<Record<string, unknown>> {
  return map ? plainMap(map) : {};
}

const UNREAD = ['registry', 'events', 'sync', 'api'];

function readUnread(root: MapNode): Record<string, unknown> {
  const config = [...root.entries].find(([key]) => key.toLowerCase() === 'config')?.[1].node;
  const maps = [root, ...(config?.kind === 'map' ? [config] : [])];
  const named = maps.flatMap((map, index) =>
    [...map.entries]
      .filter(([key]) => UNREAD.includes(key.toLowerCase()))
      .map(([key, { node }]) => [index === 0 ? key : `config.${key}`, plain(node)] as const),
  );
  return Object.fromEntries(named);
}

function readConfig(map: MapNode | null, into: Into): ToolchainConfig {
  if (!map) return CONFIG_DEFAULTS;
  const fields = fieldsOf(map, { ...into, where: 'config' });
  const globals = plainOf(fields.map('globals'));
  noteCapitals('config.globals', globals, { into, line: fields.line('globals') });
  const paths = PATHS.map((key) => [key, readPath(fields, key)] as const);
  return {
    ...(Object.fromEntries(paths) as Record<(typeof PATHS)[number], string>),
    image: readImage(fields.map('image'), into),
    containerroot: containerRoot(fields),
    remoteroot: fields.text('remoteroot') || CONFIG_DEFAULTS.remoteroot,
    globals,
    logging: readLogging(fields.map('logging'), into),
  };
}

const PATHS = [
  'blocksroot',
  'artifactsroot',
  'logsroot',
  'workflowsroot',
  'sshprivatekey',
  'sshpublickey',
  'dockerfile',
] as const;

function readPath(fields: Fields, key: (typeof PATHS)[number]): string {
  const value = fields.text(key);
  if (!value) return CONFIG_DEFAULTS[key];
  const path = posix.normalize(value).replace(/\/+$/, '');
  if (staysBelow(value) && path !== '.') return path;
  const message = `config.${key}: must be a path inside the workspace; ${CONFIG_DEFAULTS[key]} is used`;
  fields.report(message, fields.line(key));
  return CONFIG_DEFAULTS[key];
}

function readLogging(map: MapNode | null, into: Into): ToolchainConfig['logging'] {
  if (!map) return null;
  const fields = fieldsOf(map, { ...into, where: 'config.logging' });
  return { enabled: fields.flag('enabled'), path: fields.text('path') || null };
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

/** Values may hold secrets: an entry is named by its position only. */
export function readEnv(fields: Fields): Record<string, string> {
  const entries = (fields.texts('extraenv') ?? []).flatMap((entry, index) => {
    const at = `extraenv: entry ${index + 1}`;
    const [key = '', ...parts] = entry.split('=');
    if (ENV_NAME.test(key) && parts.length > 0 && !entry.includes('\0')) {
      if (parts.length > 1) note(fields, 'extraenv', `${at} has a second =, which the 2025 CLI refuses`);
      return [[key, parts.join('=')] as const];
    }
    fields.report(`${at} is not KEY=value`, fields.line('extraenv'));
    return [];
  });
  return Object.fromEntries(entries);
}

function note(fields: Fields, key: string, message: string): void {
  fields.report(message, fields.line(key), 'difference');
}

/** `host:container`, and the newer `host:container:ro`. */
function readMounts(fields: Fields): ExtraMount[] {
  return (fields.texts('extramounts') ?? []).flatMap((entry, index) => {
    const at = `extramounts: entry ${index + 1}`;
    const [host, container, option, ...more] = entry.split(':');
    if (host && container && more.length === 0 && MOUNT_OPTIONS.includes(option)) {
      if (option !== undefined)
        note(fields, 'extramounts', `${at} has an option, which the 2025 CLI refuses`);
      return [{ host, container, readonly: option === 'ro' }];
    }
    fields.report(`${at} is not host:container or host:container:ro`, fields.line('extramounts'));
    return [];
  });
}

const MOUNT_OPTIONS = [undefined, 'ro', 'rw'];

function filename(fields: Fields, key: 'inventory' | 'kubeconfig', into: Into): string | null {
  const map = fields.map(key);
  return map ? fieldsOf(map, { ...into, where: key }).text('filename') || null : null;
}

export function readBlocks(
  fields: Fields,
  into: { file: string; problems: Problem[] },
  layer: 'workspace' | 'secrets',
): WorkspaceDeclaration['blocks'] {
  return (fields.list('blocks')?.items ?? []).flatMap((node) => {
    if (node.kind !== 'map') {
      fields.report('blocks: an entry is not a mapping and is ignored', node.line);
      return [];
    }
    const problems: Problem[] = [];
    const block = readBlock(node, { file: into.file, problems, layer, dir: null });
    if (!block) into.problems.push(...problems);
    return block ? [block] : [];
  });
}
