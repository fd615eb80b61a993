import { sign, verify } from 'node:crypto';
// The small one: threads of the ledger load it at every start.
import * as z from 'zod/mini';
import { canonicalJson, type JsonObject } from '../shared/json.ts';
import { createTree } from './checkpoint-tree.ts';
import type { CheckpointKeys } from './checkpoint.ts';

const FORMAT = 'polycrate-mcp pruning 1';
const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));

const schema = z.strictObject({
  format: z.literal(FORMAT),
  ledger: z.string(),
  /** The `seq` of the last event that went; the next one is the first of the ledger now. */
  size: z.int().check(z.gte(1)),
  /** Its `hash`. */
  head: digest,
  /** The tree over all events that went, and what is needed to go on with it. */
  root: digest,
  frontier: z.array(digest),
  /** Epoch milliseconds: events from here on were to be kept. */
  before: z.int(),
  at: z.int(),
  /** What is left of them in the table `rollups`: rows, the runs they stand for, digest. */
  rollups: z.strictObject({ rows: z.int(), runs: z.int(), digest }),
  /** Of all erased people so far, because the events that had them may be gone. */
  tombstones: z.array(digest),
  key_id: digest,
  /** Ed25519 over the canonical JSON of all other members, base64. */
  signature: z.string(),
});

/** What a ledger says of events that were pruned: the facts of `ledger_pruned`. */
export type Pruning = z.infer<typeof schema>;

export function signPruning(
  state: Omit<Pruning, 'format' | 'key_id' | 'signature'>,
  { id, privateKey }: Pick<CheckpointKeys, 'id'> & { privateKey: NonNullable<CheckpointKeys['privateKey']> },
): Pruning {
  const unsigned = { format: FORMAT, ...state, key_id: id } as const;
  const signature = sign(null, Buffer.from(canonicalJson(unsigned)), privateKey).toString('base64');
  return { ...unsigned, signature };
}

export function checkPruning(
  pruning: Pruning,
  { id, publicKey }: Pick<CheckpointKeys, 'id' | 'publicKey'>,
): 'valid' | 'invalid' | 'unknown_key' {
  if (pruning.key_id !== id) return 'unknown_key';
  const { signature, ...signed } = pruning;
  const bytes = Buffer.from(canonicalJson(signed));
  return verify(null, bytes, publicKey, Buffer.from(signature, 'base64')) ? 'valid' : 'invalid';
}

/** Null: no pruning that can be understood. */
export function parsePruning(facts: string | null | undefined): Pruning | null {
  try {
    const pruning = schema.parse(JSON.parse(facts ?? 'null'));
    const { size, frontier, root } = pruning;
    // One subtree for each bit: from anything else nobody could go on.
    const bits = size.toString(2).replaceAll('0', '').length;
    return frontier.length === bits && createTree(size, frontier).root() === root ? pruning : null;
  } catch {
    return null;
  }
}

export function factsOf(pruning: Pruning): JsonObject {
  return JSON.parse(JSON.stringify(pruning)) as JsonObject;
}

/** The events of one run, from the first to the last. */
export interface Extent {
  run_id: string;
  first: number;
  last: number;
  /** Not ended, or still being cleaned up. */
  open: boolean;
}

export interface Cut {
  size: number;
  /** The run because of which less can go than was wanted. */
  held: Pick<Extent, 'run_id' | 'open'> | null;
}

/** The last point up to `wanted` that no run lies across and no open run lies before. */
export function cutAt(wanted: number, extents: readonly Extent[]): Cut {
  const end = ({ open, last }: Extent): number => (open ? Infinity : last);
  const cut: Cut = { size: wanted, held: null };
  // The latest ends first: who moves the cut back can only bring earlier ends into its way.
  for (const extent of [...extents].sort((a, b) => end(b) - end(a) || 0)) {
    if (end(extent) <= cut.size || extent.first > cut.size) continue;
    cut.size = extent.first - 1;
    cut.held = { run_id: extent.run_id, open: extent.open };
  }
  return cut;
}
