import { GENESIS } from './chain.ts';
import { createTree } from './checkpoint-tree.ts';
import type { KnownState, StartingPoint, VerifyReport } from './verify.ts';

/** Some events in the order of their numbers. What they say of hashes stands one after the other, as one text. */
export interface Links {
  events: number;
  first: number;
  last: number;
  /** What each says of the event before. */
  prevs: string;
  hashes: string;
}

/** Whether the events follow each other, taking each one's hash for granted. */
export interface LinkCheck {
  /** False: one of these does not follow the one before. */
  add(links: Links): boolean;
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
    add({ events, first, last, prevs, hashes }) {
      if (first !== tree.size() + 1 || last !== tree.size() + events) return false;
      if (hashes.length !== LENGTH * events || !HASHES.test(hashes)) return false;
      if (prevs !== head + hashes.slice(0, -LENGTH)) return false;
      for (let at = 0; at < hashes.length; at += LENGTH) {
        head = hashes.slice(at, at + LENGTH);
        tree.add(head);
        if (open.size > 0) meet();
      }
      return true;
    },
    end() {
      if (open.size > 0) return null;
      return { size: tree.size(), head, root: tree.root(), frontier: tree.frontier() };
    },
  };
}

const LENGTH = 64;
const HASHES = /^[0-9a-f]+$/;
