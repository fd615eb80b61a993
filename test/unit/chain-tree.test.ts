import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTree, isIncluded } from '../../src/ledger/checkpoint-tree.ts';
import { createProofTree } from '../../src/ledger/inclusion.ts';
import { inclusionPath } from '../support/inclusion-path.ts';
import { isIncluded as isIncludedAgain, rootOf } from '../support/second-verifier.mjs';

const hashes = Array.from({ length: 70 }, (_, n) => createHash('sha256').update(String(n)).digest('hex'));
const leaves = (from: number, to: number): string[] => hashes.slice(from, to);

function treeOf(size: number): ReturnType<typeof createTree> {
  const tree = createTree();
  for (const hash of leaves(0, size)) tree.add(hash);
  return tree;
}

describe('the tree over the events', () => {
  it('has the roots that RFC 6962 gives', () => {
    expect(treeOf(0).root()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    for (let size = 0; size <= hashes.length; size++) {
      expect(treeOf(size).root()).toBe(rootOf(leaves(0, size)).toString('hex'));
    }
  });

  it('goes on from any frontier', () => {
    for (let size = 0; size <= hashes.length; size++) {
      const tree = createTree(size, treeOf(size).frontier());
      expect(tree.root()).toBe(treeOf(size).root());
      for (const hash of leaves(size, hashes.length)) tree.add(hash);
      expect(tree.root()).toBe(treeOf(hashes.length).root());
    }
  });

  it('proves each leaf, to both verifiers, and no other', () => {
    for (let size = 1; size <= 40; size++) {
      const root = treeOf(size).root();
      for (let index = 0; index < size; index++) {
        const path = inclusionPath(index, size, leaves);
        const proof = { hash: hashes[index]!, index, size };
        expect(isIncluded({ ...proof, root }, path)).toBe(true);
        expect(isIncludedAgain({ ...proof, path }, root)).toBe(true);
        const wrong = { ...proof, hash: hashes[index + 1]! };
        expect(isIncluded({ ...wrong, root }, path)).toBe(false);
        expect(isIncludedAgain({ ...wrong, path }, root)).toBe(false);
      }
    }
  });

  it('gives both verifiers the same opinion of any proof', () => {
    const digest = fc.constantFrom(...hashes.slice(0, 6));
    fc.assert(
      fc.property(
        fc.nat(9),
        fc.integer({ min: 1, max: 9 }),
        fc.array(digest, { maxLength: 5 }),
        (index, size, extra) => {
          const real = index < size ? inclusionPath(index, size, leaves) : [];
          for (const path of [extra, [...real, ...extra], real.slice(0, -1), real.slice(1)]) {
            const proof = { hash: hashes[index]!, index, size };
            const root = treeOf(size).root();
            expect(isIncluded({ ...proof, root }, path)).toBe(isIncludedAgain({ ...proof, path }, root));
          }
        },
      ),
    );
  });
});

it('a whole tree gives the same roots and the same paths', async () => {
  for (let size = 0; size <= hashes.length; size++) {
    const pages = async function* (): AsyncGenerator<string[]> {
      for (let from = 0; from < size; from += 7) yield leaves(from, Math.min(from + 7, size));
    };
    const whole = await createProofTree(pages());
    expect([whole.size, whole.root]).toEqual([size, treeOf(size).root()]);
    for (let index = 0; index < size; index++) {
      expect(whole.path(index)).toEqual(inclusionPath(index, size, leaves));
    }
  }
});

it('a tree whose beginning was pruned gives the same roots and paths', async () => {
  for (let size = 1; size <= hashes.length; size += 3) {
    for (let gone = 0; gone <= size; gone += 17) {
      const rest = async function* (): AsyncGenerator<string[]> {
        yield leaves(gone, size);
      };
      const left = await createProofTree(rest(), { size: gone, frontier: treeOf(gone).frontier() });
      expect([left.size, left.root]).toEqual([size, treeOf(size).root()]);
      for (let index = gone; index < size; index++)
        expect(left.path(index)).toEqual(inclusionPath(index, size, leaves));
    }
  }
});
