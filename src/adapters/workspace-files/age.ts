import { sha256 } from '../../shared/json.ts';

/** Opens age files. Null: the key does not open it. */
export type Opener = (files: readonly Uint8Array[], key: string) => Promise<(Uint8Array | null)[]>;

const IDENTITY = /^AGE-SECRET-KEY-/i;

/** The key is an age identity, or else a passphrase; deriving a key from one takes about a second per file. */
export const openAge: Opener = async (files, key) => {
  const { armor, Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  const secret = key.trim();
  if (IDENTITY.test(secret)) decrypter.addIdentity(secret);
  else decrypter.addPassphrase(secret);
  const opened: (Uint8Array | null)[] = [];
  for (const file of files) {
    const text = Buffer.from(file).toString('latin1');
    const open = async (): Promise<Uint8Array> =>
      decrypter.decrypt(text.startsWith('-----BEGIN AGE') ? armor.decode(text) : file);
    opened.push(await open().catch(() => null));
  }
  return opened;
};

/** So many opened files stay in memory, the last ones. */
const MAX_KEPT = 500;

/** Remembers by content, so that a file is opened once however often a plan is made. */
export function remembering(open: Opener): Opener {
  const kept = new Map<string, Uint8Array | null>();
  return async (files, key) => {
    const named = new Map(files.map((file) => [sha256(file), file]));
    const fresh = [...named].filter(([name]) => !kept.has(name));
    const answers =
      fresh.length === 0
        ? []
        : await open(
            fresh.map(([, file]) => file),
            key,
          );
    for (const [index, [name]] of fresh.entries()) kept.set(name, answers[index] ?? null);
    const result = files.map((file) => kept.get(sha256(file)) ?? null);
    for (const name of [...kept.keys()].slice(0, Math.max(0, kept.size - MAX_KEPT))) kept.delete(name);
    return result;
  };
}
