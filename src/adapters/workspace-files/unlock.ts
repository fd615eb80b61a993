import { join } from 'node:path';
import { scalarsOf } from '../../shared/secrets.ts';
import { assembleWorkspace, type WorkspaceParts } from '../../workspaces/assemble.ts';
import type { SecretsDeclaration } from '../../workspaces/declaration.ts';
import type { Workspace } from '../../workspaces/workspace.ts';
import type { Opener } from './age.ts';
import { containedPath } from './contained.ts';
import { MAX_FILE_BYTES } from './load.ts';
import { readRegular } from './open-file.ts';
import { readSecretsPoly, SECRETS_FILE } from './secrets-poly.ts';
import { ENCRYPTED, lockedFiles } from './secrets.ts';

const MAX_LOCKED = 200;

/** What only an execution may know of a workspace. */
export interface Unlocked {
  /** Content of encrypted files, by the path of their plain file. */
  opened: ReadonlyMap<string, Uint8Array>;
  /** There is a key, and it left files closed. */
  wrong_key: boolean;
  /** Every value of secrets.poly. */
  values: readonly string[];
}

export const NOTHING_UNLOCKED: Unlocked = { opened: new Map(), wrong_key: false, values: [] };

/** The workspace with its secrets, and what came to light on the way. */
export async function unlockWorkspace(
  { path, config }: Workspace,
  parts: WorkspaceParts,
  { open, key }: { open: Opener; key: string | null },
): Promise<{ workspace: Workspace; unlocked: Unlocked }> {
  const locked = (await lockedFiles({ path, config })).slice(0, MAX_LOCKED);
  const opened = key === null ? new Map<string, Uint8Array>() : await openAll(path, locked, { open, key });
  const bytes = opened.get(SECRETS_FILE) ?? (await readSmall(path, SECRETS_FILE));
  const secrets = bytes === null ? null : await secretsOf(bytes);
  return {
    workspace: assembleWorkspace({ ...parts, secrets }),
    unlocked: {
      opened,
      wrong_key: key !== null && opened.size < locked.length,
      values: secrets === null ? [] : valuesOf(secrets),
    },
  };
}

async function openAll(
  root: string,
  locked: readonly string[],
  { open, key }: { open: Opener; key: string },
): Promise<Map<string, Uint8Array>> {
  const read = await Promise.all(locked.map((name) => readSmall(root, name)));
  const files = locked.flatMap((name, index) => {
    const bytes = read[index];
    return bytes instanceof Uint8Array ? [{ name: name.slice(0, -ENCRYPTED.length), bytes }] : [];
  });
  const contents = await open(
    files.map(({ bytes }) => bytes),
    key,
  );
  return new Map(
    files.flatMap(({ name }, index) => {
      const content = contents[index];
      return content ? [[name, content] as const] : [];
    }),
  );
}

async function readSmall(root: string, name: string): Promise<Uint8Array | 'unusable' | null> {
  if ((await containedPath(root, name)) === null) return null;
  const read = await readRegular(join(root, name), MAX_FILE_BYTES);
  return read.outcome === 'read' ? read.bytes : 'unusable';
}

async function secretsOf(bytes: Uint8Array | 'unusable'): Promise<SecretsDeclaration> {
  if (bytes !== 'unusable') return readSecretsPoly(bytes);
  const message = 'is a link or too large, and is not read';
  const problem = { severity: 'error', file: SECRETS_FILE, line: null, message } as const;
  return { blocks: [], extraenv: {}, problems: [problem] };
}

function valuesOf({ blocks, extraenv }: SecretsDeclaration): string[] {
  return [...blocks.map((block) => block.config), extraenv].flatMap(scalarsOf);
}
