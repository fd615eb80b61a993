import type { Block, Problem } from './block.ts';
import type { BlockDeclaration } from './declaration.ts';
import { blockOf, type Draft, draftOf, errorAt, overParent, overSameName } from './layers.ts';
import { linkOf, type Link, lookupOf, withoutCycles } from './lineage.ts';

/** Longer `from` chains are refused; the longest sensible one has three or four links. */
const MAX_CHAIN = 32;

/**
 * The effective blocks of a workspace. Pass the entries of workspace.poly first, in file order, then the
 * block.poly files in walk order: that is also the order of the result (polycrate-cli facts 2.1 and 3).
 */
export function resolveBlocks(declarations: readonly BlockDeclaration[]): Block[] {
  return inherit(byName(declarations.map(draftOf))).map(blockOf);
}

/** One draft per name: an entry of workspace.poly wins over a block.poly, an earlier file over a later one. */
function byName(drafts: readonly Draft[]): Draft[] {
  const merged = new Map<string, Draft>();
  const layers = new Set<string>();
  for (const draft of drafts) {
    const stronger = merged.get(draft.name);
    const again = layers.has(`${draft.layer} ${draft.name}`);
    layers.add(`${draft.layer} ${draft.name}`);
    const weaker = again ? { ...draft, problems: [...draft.problems, twice(draft)] } : draft;
    merged.set(draft.name, stronger ? overSameName(stronger, weaker) : draft);
  }
  return [...merged.values()];
}

function twice(draft: Draft): Problem {
  const message = `block ${draft.name} is declared more than once; this declaration only fills gaps of the first`;
  return { severity: 'warning', file: draft.at.file, line: draft.at.line, message };
}

/** Resolves `from` for every draft, parents before children, whatever their order and however long the chain. */
function inherit(drafts: readonly Draft[]): Draft[] {
  const lookup = lookupOf(drafts);
  const links = withoutCycles(new Map(drafts.map((draft) => [draft, linkOf(draft, lookup)])));
  const finished = new Map<Draft, { draft: Draft; chain: number }>();
  for (const draft of drafts) {
    const waiting: Draft[] = [];
    let next: Draft | null = draft;
    while (next !== null && !finished.has(next)) {
      waiting.push(next);
      next = links.get(next)?.parent ?? null;
    }
    for (const child of waiting.reverse()) {
      const link = links.get(child) as Link;
      finished.set(child, complete(child, link, link.parent ? finished.get(link.parent) : undefined));
    }
  }
  return drafts.map((draft) => finished.get(draft)?.draft ?? draft);
}

function complete(
  child: Draft,
  link: Link,
  parent: { draft: Draft; chain: number } | undefined,
): { draft: Draft; chain: number } {
  const problems = [...child.problems, ...link.problems];
  if (!parent) return { draft: { ...child, problems }, chain: 0 };
  const chain = parent.chain + 1;
  const at = child.from?.at ?? child.at;
  if (chain > MAX_CHAIN) {
    problems.push(errorAt(at, `the chain of from is longer than ${MAX_CHAIN} blocks`));
    return { draft: { ...child, problems }, chain: 0 };
  }
  if (parent.draft.problems.some((problem) => problem.severity === 'error')) {
    const message = `its parent ${parent.draft.name} cannot be used; see the problems of that block`;
    problems.push(errorAt(at, message));
  }
  return { draft: overParent({ ...child, problems }, parent.draft), chain };
}
