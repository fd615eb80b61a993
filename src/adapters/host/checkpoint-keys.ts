import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { keyId, type CheckpointKeys } from '../../ledger/checkpoint.ts';

const PRIVATE = 'checkpoint-key.pem';
const PUBLIC = 'checkpoint-key.pub.pem';

/** Where the public part lies, for people who check. */
export interface KeyFiles extends CheckpointKeys {
  publicFile: string;
  /** PEM. */
  publicText: string;
}

/**
 * The Ed25519 key for checkpoints: the given file, else `home/checkpoint-key.pem`, created with mode 0600 by its
 * first use. A copy of a ledger that has only the public part beside it can be checked, not signed.
 */
export function loadCheckpointKeys({ home, given }: { home: string; given: string | null }): KeyFiles {
  const publicFile = join(home, PUBLIC);
  const file = given ?? join(home, PRIVATE);
  try {
    if (given === null && !existsSync(file)) {
      if (existsSync(publicFile)) return publicOnly(publicFile);
      mkdirSync(home, { recursive: true, mode: 0o700 });
      const { privateKey } = generateKeyPairSync('ed25519');
      createOnce(file, { text: pem(privateKey), mode: 0o600 });
    }
    const privateKey = createPrivateKey(readFileSync(file));
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it is no Ed25519 key');
    const publicKey = createPublicKey(privateKey);
    const publicText = pem(publicKey);
    const id = keyId(publicKey);
    const copy = given === null ? publicFile : join(home, beside(id));
    createOnce(copy, { text: publicText, mode: 0o644 });
    return { id, publicKey, privateKey, publicFile: copy, publicText };
  } catch (error) {
    throw new AppError(
      'configuration',
      `the key for checkpoints ${file} cannot be used: ${messageOf(error)}`,
      {
        next: 'POLYCRATE_MCP_SIGNING_KEY_FILE names a PEM file (PKCS #8) with an Ed25519 private key',
        cause: error,
      },
    );
  }
}

/** The public key in a PEM file. Throws `configuration`. */
export function readPublicKey(file: string): KeyObject {
  try {
    const key = createPublicKey(readFileSync(file));
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is no Ed25519 key');
    return key;
  } catch (error) {
    throw new AppError('configuration', `${file} cannot be used as a public key: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The public key of this id that lies in the data folder; null if there is none. Creates nothing. */
export function ownPublicKey(home: string, key_id: string): KeyObject | null {
  const files = [PUBLIC, beside(key_id)].map((name) => join(home, name)).filter((file) => existsSync(file));
  return files.map(readPublicKey).find((key) => keyId(key) === key_id) ?? null;
}

/** Name for the public part of a key that lies elsewhere. */
function beside(key_id: string): string {
  return `checkpoint-key.${key_id.slice(0, 12)}.pub.pem`;
}

function publicOnly(publicFile: string): KeyFiles {
  const publicText = readFileSync(publicFile, 'utf8');
  const publicKey = createPublicKey(publicText);
  return { id: keyId(publicKey), publicKey, privateKey: null, publicFile, publicText };
}

function pem(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }).toString();
}

/** Whole or not at all, and never twice: link() is exclusive. */
function createOnce(file: string, { text, mode }: { text: string; mode: number }): void {
  if (existsSync(file)) return;
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const handle = openSync(draft, 'wx', mode);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
    linkSync(draft, file);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  } finally {
    closeSync(handle);
    unlinkSync(draft);
  }
}
