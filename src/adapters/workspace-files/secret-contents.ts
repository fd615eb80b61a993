import { join } from 'node:path';
import type { Workspace } from '../../workspaces/workspace.ts';
import { containedPath } from './contained.ts';
import { readRegular } from './open-file.ts';
import { filesBelow } from './secrets.ts';

const MAX_FILE_BYTES = 64 * 1024;
const MAX_BYTES = 4 * 1024 * 1024;
const PUBLIC = /\.(?:age|pub|crt|cer)$/;

/** Contents of the text files below `artifacts/secrets`, and of the workspace's SSH key: what output must not show. */
export async function secretContents({ path, config }: Workspace): Promise<string[]> {
  const folder = `${config.artifactsroot}/secrets`;
  const inside = (await containedPath(path, folder).catch(() => null)) !== null;
  const below = inside ? (await filesBelow(join(path, folder))).map((name) => `${folder}/${name}`) : [];
  const names = [...new Set([...below, config.sshprivatekey])].filter((name) => !PUBLIC.test(name));
  const contents: string[] = [];
  let room = MAX_BYTES;
  for (const name of names) {
    const text = await textOf(path, name);
    if (text === null || text.length > room) continue;
    room -= text.length;
    contents.push(text);
  }
  return contents;
}

/** Null: no text, too large, gone meanwhile, or not to be read by us, and then not by an action either. */
async function textOf(root: string, name: string): Promise<string | null> {
  try {
    const path = await containedPath(root, name);
    const read = path === null ? null : await readRegular(path, MAX_FILE_BYTES);
    if (read?.outcome !== 'read') return null;
    return new TextDecoder('utf-8', { fatal: true }).decode(read.bytes);
  } catch {
    return null;
  }
}
