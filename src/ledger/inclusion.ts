import { createHash } from 'node:crypto';
import type { Frontier } from './checkpoint-tree.ts';

const BYTES = 32;

/** The whole tree over the first events of a ledger, so that any number of paths is cheap: 64 bytes for an event. */
export interface ProofTree {
  size: number;
  root: string;
  /** The siblings on the way from leaf `index` (from 0) up to the root, lowest first; hex. */
  path(index: number): string[];
}

/** What is left of events that were taken out, see prune.ts. */
export interface PrunedTree {
  size: number;
  frontier: Frontier;
}

const NOTHING_PRUNED: PrunedTree = { size: 0, frontier: [] };

/** `hashes`: of the events from the first that is there on, in pages; there are paths for these only. */
export async function createProofTree(
  hashes: AsyncIterable<readonly string[]>,
  pruned: PrunedTree = NOTHING_PRUNED,
): Promise<ProofTree> {
  const pages: Buffer[] = [Buffer.alloc(pruned.size * BYTES)];
  for await (const page of hashes) pages.push(Buffer.concat(page.map(leafOf)));
  const levels: Buffer[] = [restored(Buffer.concat(pages), 0, pruned)];
  while (levels.at(-1)!.length > BYTES) levels.push(restored(above(levels.at(-1)!), levels.length, pruned));
  const top = levels.at(-1)!;
  return {
    size: levels[0]!.length / BYTES,
    root: (top.length === 0 ? createHash('sha256').digest() : top).toString('hex'),
    path(index) {
      const path: string[] = [];
      for (const level of levels) {
        const sibling = nodeAt(level, index % 2 === 0 ? index + 1 : index - 1);
        // The last one of an odd number has no sibling: it stands one level higher as it is.
        if (sibling.length > 0) path.push(sibling.toString('hex'));
        index = Math.floor(index / 2);
      }
      return path;
    },
  };
}

/** With the roots of the complete subtrees of what was pruned; what lies below them is in no path. */
function restored(level: Buffer, height: number, { size, frontier }: PrunedTree): Buffer {
  let [from, next] = [0, 0];
  for (let width = 2 ** Math.floor(Math.log2(Math.max(1, size))); width >= 1; width /= 2) {
    if (Math.floor(size / width) % 2 === 0) continue;
    const root = frontier[next++]!;
    if (width === 2 ** height) level.write(root, (from / width) * BYTES, 'hex');
    from += width;
  }
  return level;
}

function above(level: Buffer): Buffer {
  const count = level.length / BYTES;
  const next = Buffer.alloc(Math.ceil(count / 2) * BYTES);
  for (let index = 0; index < count; index += 2) {
    const [left, right] = [nodeAt(level, index), nodeAt(level, index + 1)];
    const parent = right.length === 0 ? left : digest(1, Buffer.concat([left, right]));
    parent.copy(next, (index / 2) * BYTES);
  }
  return next;
}

/** Empty where there is none. */
function nodeAt(level: Buffer, index: number): Buffer {
  return level.subarray(index * BYTES, (index + 1) * BYTES);
}

function leafOf(hash: string): Buffer {
  return digest(0, Buffer.from(hash, 'hex'));
}

function digest(prefix: 0 | 1, bytes: Buffer): Buffer {
  return createHash('sha256')
    .update(Buffer.from([prefix]))
    .update(bytes)
    .digest();
}
