import { GENESIS, type StoredEvent } from './chain.ts';
import { createTree } from './checkpoint-tree.ts';
import type { KnownState, StartingPoint, VerifyReport } from './verify.ts';

export type Link = Pick<StoredEvent, 'seq' | 'prev' | 'hash'>;

/** Whether the events follow each other, taking each one's hash for granted. */
export interface LinkCheck {
  /** False: this one does not follow the one before. */
  add(link: Link): boolean;
  /** Null: it does not pass through all the known states. */
  end(): Pick<VerifyReport, 'size' | 'head' | 'root' | 'frontier'> | null;
}

/** `from`: where the events begin, if not with the first. Of states before that nothing can be told. */
export function createLinkCheck(known: readonly KnownState[], from: StartingPoint | null): LinkCheck {
  const tree = createTree(from?.size, from?.frontier);
  let head = from?.head ?? GENESIS;
  const open = new Set(known.filter(({ size }) => size >= tree.size()));
  const meet = (): void => {
    for (const state of open) {
      if (state.size === tree.size() && state.head === head && state.root === tree.root()) open.delete(state);
    }
  };
  meet();
  return {
    add({ seq, prev, hash }) {
      if (seq !== tree.size() + 1 || prev !== head || !HASH.test(hash)) return false;
      head = hash;
      tree.add(hash);
      if (open.size > 0) meet();
      return true;
    },
    end() {
      if (open.size > 0) return null;
      return { size: tree.size(), head, root: tree.root(), frontier: tree.frontier() };
    },
  };
}

const HASH = /^[0-9a-f]{64}$/;
