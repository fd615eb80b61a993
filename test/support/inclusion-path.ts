import { createTree } from '../../src/ledger/checkpoint-tree.ts';

// Slowly and from the definition: what the product computes for all events at once is compared with it.

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
