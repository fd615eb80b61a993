import { closest, parseBlockRef, withoutHost } from '../shared/names.ts';
import type { Problem } from './block.ts';
import type { Place } from './declaration.ts';
import { type Draft, errorAt } from './layers.ts';

/** Where `from` leads: the parent, if there is one to inherit from, and what is wrong with the reference. */
export interface Link {
  parent: Draft | null;
  problems: readonly Problem[];
}

/** Blocks that a message names. */
const MAX_SHOWN = 6;
/** Comparing names costs more than all else here, and nobody reads the hundredth suggestion. */
const MAX_SUGGESTIONS = 50;
const NONE: Link = { parent: null, problems: [] };

/** Finds the block that `from` names: by full name, else by the name without registry host if only one fits. */
export function linkOf(draft: Draft, drafts: Lookup): Link {
  if (draft.from === null) return NONE;
  const { at } = draft.from;
  const { name, version } = drafts.exact(draft.from.reference)
    ? { name: draft.from.reference, version: null }
    : parseBlockRef(draft.from.reference);
  const exact = drafts.exact(name);
  const loose = exact ? [exact] : drafts.loose(name).filter((candidate) => candidate !== draft);
  const [parent, ...others] = loose;
  if (!parent) return broken(at, `from names ${name}, which is not in this workspace${drafts.suggest(name)}`);
  if (others.length > 0) {
    const names = loose
      .slice(0, MAX_SHOWN)
      .map((candidate) => candidate.name)
      .join(', ');
    return broken(at, `from names ${name}, which fits several blocks: ${names}; write the full name`);
  }
  const actual = parent.text.version ?? null;
  if (version === null || version === actual) return { parent, problems: [] };
  const message = `from asks for ${parent.name} in version ${version}, but ${actual ?? 'a block without version'} is here`;
  return { parent, problems: [errorAt(at, message)] };
}

function broken(at: Place, message: string): Link {
  return { parent: null, problems: [errorAt(at, message)] };
}

/** Blocks by name, with and without registry host. */
export interface Lookup {
  /** Known names, closest first, as the end of a sentence. */
  suggest(name: string): string;
  exact(name: string): Draft | undefined;
  loose(name: string): readonly Draft[];
}

export function lookupOf(drafts: readonly Draft[]): Lookup {
  const exact = new Map(drafts.map((draft) => [draft.name, draft]));
  let suggestions = MAX_SUGGESTIONS;
  const loose = new Map<string, Draft[]>();
  for (const draft of drafts) {
    const name = withoutHost(draft.name);
    loose.set(name, [...(loose.get(name) ?? []), draft]);
  }
  return {
    suggest: (name) => {
      if (suggestions === 0) return '';
      suggestions -= 1;
      return `; known blocks, closest first: ${closest(name, [...exact.keys()]).join(', ')}`;
    },
    exact: (name) => exact.get(name),
    loose: (name) => loose.get(withoutHost(name)) ?? [],
  };
}

/** Every block on a cycle gets the cycle as its problem and no parent; blocks that lead into it keep theirs. */
export function withoutCycles(links: ReadonlyMap<Draft, Link>): Map<Draft, Link> {
  const result = new Map(links);
  const settled = new Set<Draft>();
  for (const start of links.keys()) {
    const path: Draft[] = [];
    const onPath = new Set<Draft>();
    let next: Draft | null = start;
    while (next !== null && !settled.has(next) && !onPath.has(next)) {
      path.push(next);
      onPath.add(next);
      next = links.get(next)?.parent ?? null;
    }
    if (next !== null && onPath.has(next)) {
      const cycle = path.slice(path.indexOf(next));
      for (const draft of cycle)
        result.set(draft, broken(draft.from?.at ?? draft.at, cycleMessage(draft, cycle)));
    }
    for (const draft of path) settled.add(draft);
  }
  return result;
}

function cycleMessage(draft: Draft, cycle: readonly Draft[]): string {
  const start = cycle.indexOf(draft);
  const shown = Math.min(cycle.length, MAX_SHOWN);
  const names = Array.from({ length: shown }, (_, step) => cycle[(start + step) % cycle.length]?.name);
  const rest = cycle.length > shown ? ['…'] : [];
  return `from leads back to the block itself: ${[...names, ...rest, draft.name].join(' → ')}`;
}
