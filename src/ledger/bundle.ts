import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from '../shared/json.ts';
import { checkpointSchema, digestSchema as digest, keyId, type CheckpointKeys } from './checkpoint.ts';

// Chosen runs with their proofs, outside of any ledger; FORMAT.md describes the bytes.

export const BUNDLE_FORMAT = 'polycrate-mcp bundle 1';
export const MANIFEST = 'bundle.json';
export const RUNS = 'runs.jsonl';

export function logFile(run_id: string): string {
  return `logs/${run_id}.log`;
}

/** No name may lead out of the bundle's folder. */
const fileName = z.string().regex(/^(?:logs\/)?[0-9a-z][0-9a-z-]*\.[a-z]+$/);
const count = z.int().min(0);
const time = z.int().nullable();

const manifestSchema = z.strictObject({
  format: z.literal(BUNDLE_FORMAT),
  /** When it was made, epoch milliseconds. */
  at: z.int(),
  key_id: digest,
  /** DER (SubjectPublicKeyInfo) in base64: says which key it was, not whose. */
  public_key: z.string(),
  /** The state of the ledger that every proof leads to. */
  checkpoint: checkpointSchema,
  /** False: private values were left out, their commitments stayed. */
  people: z.boolean(),
  /** What was asked for. */
  filters: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  interval: z.strictObject({ since: time, until: time }),
  counts: z.strictObject({
    runs: count,
    events: count,
    private_values: count,
    /** Commitments whose value is not in the bundle. */
    withheld: count,
    launched: count,
    workflows: count,
    status: z.record(z.string(), count),
  }),
  /** Runs that were asked for and are not in it. */
  left_out: z.strictObject({
    /** Others executed them: no event of this ledger tells of them. */
    mirrored: count,
    /** Recorded since the checkpoint. */
    later: count,
  }),
  /** Every other file of the bundle, by name. */
  files: z.array(z.strictObject({ name: fileName, bytes: count, sha256: digest })),
  /** Ed25519 over the canonical JSON of all other members, base64. */
  signature: z.string(),
});

export type BundleManifest = z.infer<typeof manifestSchema>;
export type BundleFile = BundleManifest['files'][number];
export type BundleCounts = BundleManifest['counts'];

export type UnsignedManifest = Omit<BundleManifest, 'format' | 'key_id' | 'public_key' | 'signature'>;

/** The text of `bundle.json`. */
export function signManifest(
  parts: UnsignedManifest,
  { id, publicKey, privateKey }: CheckpointKeys & { privateKey: KeyObject },
): { manifest: BundleManifest; text: string } {
  const public_key = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  const unsigned = { ...parts, format: BUNDLE_FORMAT, key_id: id, public_key } as const;
  const signature = sign(null, Buffer.from(canonicalJson(unsigned)), privateKey).toString('base64');
  const manifest = { ...unsigned, signature };
  return { manifest, text: `${canonicalJson(manifest)}\n` };
}

/** Null: this is no manifest, or not spelt as it must be. */
export function parseManifest(text: string): BundleManifest | null {
  const { success, data } = manifestSchema.safeParse(jsonOf(text));
  return success && text === `${canonicalJson(data)}\n` ? data : null;
}

/** Whether bundle and checkpoint were signed with the key that the manifest shows. */
export function isSigned({ signature, ...signed }: BundleManifest): boolean {
  const key = publicKeyOf(signed);
  if (!key || keyId(key) !== signed.key_id || signed.checkpoint.key_id !== signed.key_id) return false;
  return isBase64(signature) && verify(null, Buffer.from(canonicalJson(signed)), key, Buffer.from(signature, 'base64'));
} // prettier-ignore

/** Null: there is no Ed25519 key in it. */
export function publicKeyOf({ public_key }: Pick<BundleManifest, 'public_key'>): KeyObject | null {
  try {
    const key = createPublicKey({ key: Buffer.from(public_key, 'base64'), type: 'spki', format: 'der' });
    return key.asymmetricKeyType === 'ed25519' && isBase64(public_key) ? key : null;
  } catch {
    return null;
  }
}

/** Spelt in the one way that there is. */
function isBase64(text: string): boolean {
  return Buffer.from(text, 'base64').toString('base64') === text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
