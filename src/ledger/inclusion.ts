import { createHash } from 'node:crypto';

const BYTES = 32;

/** The whole tree over the first events of a ledger, so that any number of paths is cheap: 64 bytes for an event. */
export interface ProofTree {
  size: number;
  root: string;
  /** The siblings on the way from leaf `index` (from 0) up to the root, lowest first; hex. */
  path(index: number): string[];
}

/** `hashes`: of the events from the first on, in pages. */
export async function createProofTree(hashes: AsyncIterable<readonly string[]>): Promise<ProofTree> {
  const pages: Buffer[] = [];
  for await (const page of hashes) pages.push(Buffer.concat(page.map(leafOf)));
  const levels: Buffer[] = [Buffer.concat(pages)];
  while (levels.at(-1)!.length > BYTES) levels.push(above(levels.at(-1)!));
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
