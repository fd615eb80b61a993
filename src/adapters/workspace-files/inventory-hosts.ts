import { stat } from 'node:fs/promises';
import { readRegular } from './open-file.ts';
import { readYaml } from './read-yaml.ts';
import type { Node } from './yaml-nodes.ts';

const MAX_HOSTS = 200;
const MAX_BYTES = 1024 * 1024;

/** Hosts that an inventory names, at most 200, in its order. Null: only running it or its plugin could tell. */
export async function hostsOf(path: string): Promise<string[] | null> {
  const named = /\.(ya?ml|json)$/.test(path);
  if (!named && ((await stat(path)).mode & 0o111) !== 0) return null;
  const result = await readRegular(path, MAX_BYTES);
  if (result.outcome !== 'read') return null;
  const text = Buffer.from(result.bytes)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  if (text.startsWith('#!')) return null;
  const hosts = named ? await yamlHosts(result.bytes, text) : iniHosts(text);
  return hosts === null ? null : [...hosts].slice(0, MAX_HOSTS);
}

/** A file with sections is INI whatever it is called; Ansible tries one reader after the other, too. */
async function yamlHosts(bytes: Uint8Array, text: string): Promise<Set<string> | null> {
  const { root, problems } = await readYaml(bytes, 'inventory');
  if (problems.some((problem) => problem.severity === 'error') || root?.kind !== 'map') {
    return SECTION.test(text) ? iniHosts(text) : null;
  }
  if (root.entries.has('plugin')) return null;
  const hosts = new Set<string>();
  for (const { node } of root.entries.values()) addGroup(node, hosts);
  return hosts;
}

function addGroup(group: Node, hosts: Set<string>): void {
  if (group.kind !== 'map' || hosts.size >= MAX_HOSTS) return;
  const named = group.entries.get('hosts')?.node;
  if (named?.kind === 'map') for (const host of named.entries.keys()) hosts.add(host);
  else if (named?.kind === 'scalar' && typeof named.value === 'string') hosts.add(named.text);
  const children = group.entries.get('children')?.node;
  if (children?.kind === 'map') for (const { node } of children.entries.values()) addGroup(node, hosts);
}

const SECTION = /^[ \t]*\[[^\]\n]+\][ \t]*\r?$/m;

/** Lines before the first section and those below `[group]`; ranges such as `web[01:20]` stay as written. */
function iniHosts(text: string): Set<string> {
  const hosts = new Set<string>();
  let listsHosts = true;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const section = /^\[([^\]]+)\](?:\s|$)/.exec(line);
    if (section) listsHosts = !section[1]?.includes(':');
    else if (listsHosts) hosts.add(line.split(/\s+/, 1)[0] as string);
  }
  return hosts;
}
