import type { Block } from '../../blocks/block.ts';
import type { BlockDocuments, ChangelogEntry } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import { containedPath } from './contained.ts';
import { fieldsOf } from './fields.ts';
import { readRegular } from './open-file.ts';
import { readYaml } from './read-yaml.ts';
import type { Node } from './yaml-nodes.ts';

const MAX_BYTES = 256 * 1024;
const README_CHARACTERS = 1500;
const ENTRIES = 5;

/** What the folder of a block tells people: the beginning of its README and its latest changes. */
export async function documentsOf({ path }: Workspace, { dirs }: Block): Promise<BlockDocuments> {
  const [readme, changelog] = await Promise.all([
    firstText(path, dirs, 'README.md'),
    firstText(path, dirs, 'CHANGELOG.poly'),
  ]);
  return {
    readme: readme && excerptOf(readme.toString('utf8')),
    changelog: changelog ? await entriesOf(changelog) : [],
  };
}

/** The nearest folder that has the file: the block's own, else that of what it is made from. */
async function firstText(root: string, dirs: readonly string[], name: string): Promise<Buffer | null> {
  for (const dir of dirs) {
    try {
      const path = await containedPath(root, `${dir}/${name}`);
      const read = path === null ? null : await readRegular(path, MAX_BYTES);
      if (read?.outcome === 'read') return Buffer.from(read.bytes);
    } catch {
      // What cannot be read is no help to anybody, and stops nothing.
    }
  }
  return null;
}

function excerptOf(text: string): string {
  const whole = text.trim();
  if (whole.length <= README_CHARACTERS) return whole;
  const paragraph = whole.lastIndexOf('\n\n', README_CHARACTERS);
  return `${whole.slice(0, paragraph > README_CHARACTERS / 2 ? paragraph : README_CHARACTERS)}\n…`;
}

/** Entries as the CLI writes them (polycrate-cli facts 2.4): a list, or a list under `changelog`. */
async function entriesOf(bytes: Uint8Array): Promise<ChangelogEntry[]> {
  const { root } = await readYaml(bytes, 'CHANGELOG.poly');
  const list = root?.kind === 'map' ? root.entries.get('changelog')?.node : root;
  if (list?.kind !== 'list') return [];
  return list.items.slice(0, ENTRIES).flatMap(entryOf);
}

function entryOf(node: Node): ChangelogEntry[] {
  if (node.kind !== 'map') return [];
  const fields = fieldsOf(node, { file: 'CHANGELOG.poly', problems: [] });
  const text = (key: string): string | null => fields.text(key) || null;
  return [
    {
      version: text('version'),
      date: text('date'),
      type: text('type'),
      message: text('message') ?? text('description'),
    },
  ];
}
