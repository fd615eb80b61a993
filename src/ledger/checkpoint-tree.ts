import { hash as digest } from 'node:crypto';

// A Merkle tree as in RFC 6962, section 2.1. Its leaves are the hashes of the events, 32 bytes each.

/** Roots of the complete subtrees that the leaves so far make, largest first, hex: all that is needed to go on. */
export type Frontier = readonly string[];

/** Grows leaf by leaf in logarithmic memory. */
export interface Tree {
  add(hash: string): void;
  size(): number;
  root(): string;
  frontier(): Frontier;
}

/** Goes on where a tree of `size` leaves was left. */
export function createTree(size = 0, frontier: Frontier = []): Tree {
  let count = size;
  const stack = [...frontier];
  return {
    add(hash) {
      let node = leafOf(hash);
      // Each trailing one bit of the count is a complete subtree of the same height.
      for (let full = count; full % 2 === 1; full = (full - 1) / 2) node = parentOf(stack.pop()!, node);
      stack.push(node);
      count += 1;
    },
    size: () => count,
    root: () => rootOf(stack),
    frontier: () => [...stack],
  };
}

/** True if an event of this hash is number `index` (from 0) of the `size` events under `root`. */
export function isIncluded(
  { hash, index, size, root }: { hash: string; index: number; size: number; root: string },
  path: readonly string[],
): boolean {
  if (index < 0 || index >= size) return false;
  let node = leafOf(hash);
  let [position, last] = [index, size - 1];
  for (const sibling of path) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      node = parentOf(sibling, node);
      while (position % 2 === 0 && position !== 0) [position, last] = [half(position), half(last)];
    } else {
      node = parentOf(node, sibling);
    }
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && node === root;
}

function rootOf(stack: readonly string[]): string {
  if (stack.length === 0) return digest('sha256', '', 'hex');
  return stack.reduceRight((right, left) => parentOf(left, right));
}

const DIGEST = 32;
// Written over for each hash: a buffer of its own would cost more than the hash.
const leaf = Buffer.alloc(1 + DIGEST, 0);
const node = Buffer.alloc(1 + 2 * DIGEST, 1);

function leafOf(hash: string): string {
  const fits = put(hash, leaf, 1);
  return digest('sha256', fits ? leaf : Buffer.from(`00${hash}`, 'hex'), 'hex');
}

function parentOf(left: string, right: string): string {
  const fits = put(left, node, 1) && put(right, node, 1 + DIGEST);
  return digest('sha256', fits ? node : Buffer.from(`01${left}${right}`, 'hex'), 'hex');
}

/** False: what a store holds is no digest, nor even text, and must not be taken for one with what lay there before. */
function put(hex: string, target: Buffer, at: number): boolean {
  return typeof hex === 'string' && hex.length === 2 * DIGEST && target.write(hex, at, 'hex') === DIGEST;
}

function half(n: number): number {
  return Math.floor(n / 2);
}
