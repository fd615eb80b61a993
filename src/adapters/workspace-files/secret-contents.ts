import { join } from 'node:path';
import { keyedSecrets, scalarsOf, secretValues } from '../../shared/secrets.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { containedPath } from './contained.ts';
import { readRegular } from './open-file.ts';
import { readYaml } from './read-yaml.ts';
import { filesBelow } from './secrets.ts';
import type { Unlocked } from './unlock.ts';
import { plain } from './yaml-nodes.ts';

const MAX_FILE_BYTES = 64 * 1024;
const MAX_BYTES = 4 * 1024 * 1024;
const PUBLIC = /\.(?:age|pub|crt|cer)$/;
const STRUCTURED = /\.(?:ya?ml|json|poly)$/;
/** Cluster files have names and addresses in them, which are no secrets; so have inventories and their variables. */
const PARTLY = /(?:^|\/)(?:kubeconfig[^/]*|inventory[^/]*|hosts[^/]*)$|(?:^|\/)(?:group|host)_vars\//;
const INI_PASSWORD = /\b(ansible_\w*(?:pass|password|token|secret)\w*)\s*=\s*("[^"\n]*"|'[^'\n]*'|[^\s#;]+)/g;

/** What output must not show: values of secrets.poly, files below `artifacts/secrets`, keys, passwords of inventories. */
export async function secretContents(workspace: Workspace, { opened, values }: Unlocked): Promise<string[]> {
  const found = [...values];
  let room = MAX_BYTES;
  const add = async (name: string, text: string | null): Promise<void> => {
    if (text === null || text.length > room) return;
    room -= text.length;
    found.push(...(await secretsIn(name, text)));
  };
  for (const name of await secretNames(workspace)) await add(name, await textOf(workspace.path, name));
  for (const [name, bytes] of opened) if (!PUBLIC.test(name)) await add(name, decode(bytes));
  return found;
}

async function secretNames({ path, config, inventory, kubeconfig }: Workspace): Promise<string[]> {
  const { artifactsroot, blocksroot } = config;
  const below = async (folder: string): Promise<string[]> => {
    const inside = (await containedPath(path, folder).catch(() => null)) !== null;
    return inside
      ? (await filesBelow(join(path, folder)).catch(() => [])).map((name) => `${folder}/${name}`)
      : [];
  };
  const artifacts = await below(`${artifactsroot}/${blocksroot}`);
  const names = [
    ...(await below(`${artifactsroot}/secrets`)),
    ...[config.sshprivatekey, inventory ?? 'inventory.yml'],
    ...(kubeconfig === null ? [] : [kubeconfig]),
    ...artifacts.filter((name) => PARTLY.test(name)),
    ...(await below('group_vars')),
    ...(await below('host_vars')),
  ];
  return [...new Set(names)].filter((name) => !PUBLIC.test(name));
}

/** Of a small file the whole, and of a structured one each value, so that each is found alone. */
async function secretsIn(name: string, text: string): Promise<string[]> {
  const partly = PARTLY.test(name);
  const tree = STRUCTURED.test(name) ? await treeOf(text) : null;
  const keyed = [...secretValues(tree), ...keyedSecrets(tree)];
  if (partly) return [...keyed, ...iniPasswords(text)];
  return [text, ...scalarsOf(tree), ...keyed];
}

async function treeOf(text: string): Promise<unknown> {
  const { root } = await readYaml(Buffer.from(text), 'secret');
  return root === null ? null : plain(root);
}

function iniPasswords(text: string): string[] {
  const pairs = [...text.matchAll(INI_PASSWORD)].map(([, key = '', value = '']) => [
    key,
    value.replace(/^(["'])(.*)\1$/, '$2'),
  ]);
  return pairs.flatMap(([key, value]) => [value!, ...keyedSecrets({ [key!]: value })]);
}

/** Null: no text, too large, gone meanwhile, or not to be read by us, and then not by an action either. */
async function textOf(root: string, name: string): Promise<string | null> {
  try {
    const path = await containedPath(root, name);
    const read = path === null ? null : await readRegular(path, MAX_FILE_BYTES);
    return read?.outcome === 'read' ? decode(read.bytes) : null;
  } catch {
    return null;
  }
}

function decode(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
