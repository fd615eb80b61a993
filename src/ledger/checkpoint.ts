import { createHash, sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../shared/errors.ts';
import { canonicalJson } from '../shared/json.ts';

const FORMAT = 'polycrate-mcp checkpoint 1';
export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/);

export const checkpointSchema = z.strictObject({
  format: z.literal(FORMAT),
  ledger: z.string(),
  /** Number of events, which is the `seq` of the last one. */
  size: z.int().min(0),
  /** `hash` of the last event. */
  head: digestSchema,
  /** Root of the Merkle tree over the hashes of all events. */
  root: digestSchema,
  /** Epoch milliseconds. */
  at: z.int(),
  key_id: digestSchema,
  /** Ed25519 over the canonical JSON of all other members, base64. */
  signature: z.string(),
});

/** What a ledger held at a time, signed. A copy kept elsewhere is an anchor. */
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** SHA-256 over the DER of the public key (SPKI), hex. */
export function keyId(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

export interface CheckpointKeys {
  id: string;
  publicKey: KeyObject;
  /** Null where only the public part is at hand: checking works, signing does not. */
  privateKey: KeyObject | null;
}

export function signCheckpoint(
  state: Pick<Checkpoint, 'ledger' | 'size' | 'head' | 'root' | 'at'>,
  { id, privateKey }: CheckpointKeys & { privateKey: KeyObject },
): Checkpoint {
  const { ledger, size, head, root, at } = state;
  const unsigned = { format: FORMAT, ledger, size, head, root, at, key_id: id } as const;
  const signature = sign(null, Buffer.from(canonicalJson(unsigned)), privateKey).toString('base64');
  return { ...unsigned, signature };
}

/** `unknown_key`: signed with a key whose public part is not at hand. */
export function checkSignature(
  checkpoint: Checkpoint,
  { id, publicKey }: Pick<CheckpointKeys, 'id' | 'publicKey'>,
): 'valid' | 'invalid' | 'unknown_key' {
  if (checkpoint.key_id !== id) return 'unknown_key';
  const { signature, ...signed } = checkpoint;
  const bytes = Buffer.from(canonicalJson(signed));
  return verify(null, bytes, publicKey, Buffer.from(signature, 'base64')) ? 'valid' : 'invalid';
}

/** Reads a checkpoint that was written down. Throws `invalid_argument` for anything else. */
export function parseCheckpoint(text: string): Checkpoint {
  const parsed = checkpointSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new AppError('invalid_argument', 'this is no checkpoint of a ledger', {
    next: '`polycrate-mcp ledger checkpoint --out FILE` writes one',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
