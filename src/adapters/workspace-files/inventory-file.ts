import { stat } from 'node:fs/promises';
import { type Inventory, NotAnInventory } from '../../workspaces/inventory/inventory.ts';
import { iniInventory } from './inventory-ini.ts';
import { yamlInventory } from './inventory-yaml.ts';
import { readRegular } from './open-file.ts';
import { readYaml } from './read-yaml.ts';

const MAX_BYTES = 1024 * 1024;

/** An inventory, or why nobody knows it without running something. */
export type ReadInventory = { inventory: Inventory; unknown: null } | { inventory: null; unknown: string };

/** Reads a static inventory; scripts and plugins are never run. Tries the readers in the order in which the CLI's settings do. */
export async function readInventory(path: string): Promise<ReadInventory> {
  const result = await readRegular(path, MAX_BYTES);
  if (result.outcome !== 'read') return unknown(`is larger than ${MAX_BYTES / 1024} KiB`);
  const text = Buffer.from(result.bytes)
    .toString('utf8')
    .replace(/^\ufeff/, '');
  if (text.startsWith('$ANSIBLE_VAULT')) return unknown('is encrypted with Ansible Vault');
  const tried = YAML_NAME.test(path) ? await fromYaml(result.bytes) : null;
  if (tried?.inventory) return tried;
  if (tried?.unknown === PLUGIN) return tried;
  if (text.startsWith('#!') || ((await stat(path)).mode & 0o111) !== 0) {
    return unknown('is a script, which only tells its hosts when it runs');
  }
  const lines = attempt(() => iniInventory(text));
  // Of a file that looks like YAML, what is wrong with the YAML is the help.
  return lines.inventory === null && tried !== null && !SECTION.test(text) ? tried : lines;
}

const PLUGIN = 'is the configuration of a plugin, which only tells its hosts when it runs';
/** Ansible takes a file without an extension for YAML, too, if it can be read as that. */
const YAML_NAME = /(?:\.(?:ya?ml|json)|(?:^|\/)[^./]+)$/;
const SECTION = /^[ \t]*\[[^\]\n]+\][ \t]*\r?$/m;

function unknown(why: string): ReadInventory {
  return { inventory: null, unknown: why };
}

async function fromYaml(bytes: Uint8Array): Promise<ReadInventory | null> {
  const { root, problems } = await readYaml(bytes, 'inventory');
  const problem = problems.find(({ severity }) => severity === 'error');
  if (problem) return unknown(`cannot be read: line ${problem.line ?? '?'}: ${problem.message}`);
  // One word alone, or nothing: a line of INI.
  if (root === null || root.kind === 'scalar') return null;
  if (root.kind === 'list') return unknown('is a list and no mapping of groups');
  if (root.entries.has('plugin')) return unknown(PLUGIN);
  return attempt(() => yamlInventory(root));
}

function attempt(read: () => Inventory): ReadInventory {
  try {
    return { inventory: read(), unknown: null };
  } catch (error) {
    if (error instanceof NotAnInventory) return unknown(error.message);
    throw error;
  }
}
