import { posix } from 'node:path';
import { AppError } from '../../shared/errors.ts';
import type { Play, Plays } from '../../workspaces/workspace-store.ts';
import { containedPath } from './contained.ts';
import { readRegular } from './open-file.ts';
import { readYaml } from './read-yaml.ts';
import { type MapNode, type Node, plain, plainMap } from './yaml-nodes.ts';

const MAX_BYTES = 1024 * 1024;
const MAX_FILES = 50;
const IMPORTS = ['import_playbook', 'ansible.builtin.import_playbook', 'ansible.legacy.import_playbook'];
/** Where a play gets variables from that only Ansible reads. */
const OTHER_VARIABLES = ['vars_files', 'vars_prompt', 'roles'];

interface Reader {
  root: string;
  plays: Play[];
  files: number;
}

class Unknown extends Error {}

/** The plays of a playbook and of those it imports, in order; `unknown` says why they cannot be told. Refuses a link out. */
export async function playsOf(root: string, file: string): Promise<Plays> {
  // The action's own file, and nothing else, is what would be executed whatever it says.
  await containedPath(root, posix.normalize(file));
  const reader: Reader = { root, plays: [], files: 0 };
  try {
    await readPlaybook(posix.normalize(file), { vars: {}, reader });
    return { plays: reader.plays, unknown: null };
  } catch (error) {
    if (error instanceof Unknown) return { plays: [], unknown: error.message };
    throw error;
  }
}

interface Importer {
  /** Of the imports on the way here: they go over a play's own. */
  vars: Readonly<Record<string, unknown>>;
  reader: Reader;
}

async function readPlaybook(file: string, { vars, reader }: Importer): Promise<void> {
  if (++reader.files > MAX_FILES) throw new Unknown(`${file} is imported in a circle, or very many times`);
  const root = await yamlOf(file, reader.root);
  if (root?.kind !== 'list' || root.items.length === 0) throw new Unknown(`${file} is no list of plays`);
  for (const item of root.items) {
    if (item.kind !== 'map') throw new Unknown(`${file}:${item.line} is no play`);
    const name = IMPORTS.find((key) => item.entries.has(key));
    const own = varsOf(item);
    if (name === undefined) reader.plays.push(playOf(item, { file, vars: own && { ...own, ...vars } }));
    else {
      const imported = targetOf(item.entries.get(name)?.node, { file, line: item.line });
      await readPlaybook(posix.join(posix.dirname(file), imported), { vars: { ...own, ...vars }, reader });
    }
  }
}

async function yamlOf(file: string, root: string): Promise<Node | null> {
  const path = await containedPath(root, file).catch((error: unknown) => {
    throw error instanceof AppError ? new Unknown(error.message) : error;
  });
  if (path === null) throw new Unknown(`${file} is not there`);
  const read = await readRegular(path, MAX_BYTES);
  if (read.outcome !== 'read')
    throw new Unknown(`${file} is no file, or larger than ${MAX_BYTES / 1024} KiB`);
  if (Buffer.from(read.bytes).toString('latin1').startsWith('$ANSIBLE_VAULT')) {
    throw new Unknown(`${file} is encrypted with Ansible Vault`);
  }
  const { root: node, problems } = await readYaml(read.bytes, file);
  const problem = problems.find(({ severity }) => severity === 'error');
  if (problem) throw new Unknown(`${file}:${problem.line ?? '?'}: ${problem.message}`);
  return node;
}

/** Null: written in a way that only Ansible reads. */
function varsOf({ entries }: MapNode): Readonly<Record<string, unknown>> | null {
  const node = entries.get('vars')?.node;
  if (!node || (node.kind === 'scalar' && node.value === null)) return {};
  return node.kind === 'map' ? plainMap(node) : null;
}

function playOf(
  { entries, line }: MapNode,
  { file, vars }: { file: string; vars: Play['vars'] | null },
): Play {
  const hosts = entries.get('hosts')?.node;
  const value = hosts && plain(hosts);
  const texts = Array.isArray(value) ? value : [value];
  return {
    at: { file, line },
    hosts: texts.every((text) => typeof text === 'string' && text !== '') ? (texts as string[]) : [],
    vars: vars ?? {},
    more_vars: vars === null || OTHER_VARIABLES.some((key) => entries.has(key)),
  };
}

function targetOf(node: Node | undefined, { file, line }: { file: string; line: number }): string {
  const target = node?.kind === 'scalar' && typeof node.value === 'string' ? node.value.trim() : '';
  if (target.includes('{{')) throw new Unknown(`${file}:${line} imports ${target}, known only when it runs`);
  if (target === '' || /\s/.test(target) || target.startsWith('/') || !/\.ya?ml$/.test(target)) {
    throw new Unknown(`${file}:${line} imports something that is no file beside it`);
  }
  return target;
}
