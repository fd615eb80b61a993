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
  const stack = frontier.map(bytes);
  return {
    add(hash) {
      let node = leafOf(hash);
      // Each trailing one bit of the count is a complete subtree of the same height.
      for (let full = count; full % 2 === 1; full = (full - 1) / 2) node = parentOf(stack.pop()!, node);
      stack.push(node);
      count += 1;
    },
    size: () => count,
    root: () => rootOf(stack).toString('hex'),
    frontier: () => stack.map((node) => node.toString('hex')),
  };
}

/** Leaves `from` (counted from 0) up to, not including, `to`. */
export type Leaves = (from: number, to: number) => Iterable<string>;

/** The siblings on the way from leaf `index` up to the root of the first `size` leaves, lowest first. */
export function inclusionPath(index: number, size: number, leaves: Leaves): string[] {
  const path: string[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + split(to - from);
    if (index < middle) {
      path.unshift(rangeRoot(leaves(middle, to)));
      to = middle;
    } else {
      path.unshift(rangeRoot(leaves(from, middle)));
      from = middle;
    }
  }
  return path;
}

/** True if an event of this hash is number `index` (from 0) of the `size` events under `root`. */
export function isIncluded(
  { hash, index, size, root }: { hash: string; index: number; size: number; root: string },
  path: readonly string[],
): boolean {
  if (index < 0 || index >= size) return false;
  let node = leafOf(hash);
  let [position, last] = [index, size - 1];
  for (const sibling of path.map(bytes)) {
    if (last === 0) return false;
    if (position % 2 === 1 || position === last) {
      node = parentOf(sibling, node);
      while (position % 2 === 0 && position !== 0) [position, last] = [half(position), half(last)];
    } else {
      node = parentOf(node, sibling);
    }
    [position, last] = [half(position), half(last)];
  }
  return last === 0 && node.toString('hex') === root;
}

function rangeRoot(leaves: Iterable<string>): string {
  const tree = createTree();
  for (const hash of leaves) tree.add(hash);
  return tree.root();
}

/** The largest power of two below `n`. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

function rootOf(stack: readonly Buffer[]): Buffer {
  if (stack.length === 0) return digest('sha256', '', 'buffer');
  return stack.reduceRight((right, left) => parentOf(left, right));
}

function leafOf(hash: string): Buffer {
  return digest('sha256', bytes(`00${hash}`), 'buffer');
}

function parentOf(left: Buffer, right: Buffer): Buffer {
  return digest('sha256', Buffer.concat([NODE, left, right]), 'buffer');
}

const NODE = Buffer.from([1]);

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}

function half(n: number): number {
  return Math.floor(n / 2);
}
