import type { Problem } from '../../blocks/block.ts';

/** YAML as values with their lines: aliases are resolved, keys are text, nothing can be circular. */
export type Node = ScalarNode | ListNode | MapNode;

interface NodeFacts {
  line: number;
  /** Nodes in this subtree with aliases counted in full. */
  size: number;
  /** Levels below this one. */
  height: number;
}

export interface ScalarNode extends NodeFacts {
  kind: 'scalar';
  value: string | number | boolean | null;
  /** As written in the file: `1.10` stays `1.10`. */
  text: string;
}

export interface ListNode extends NodeFacts {
  kind: 'list';
  items: readonly Node[];
}

export interface MapNode extends NodeFacts {
  kind: 'map';
  entries: ReadonlyMap<string, { line: number; node: Node }>;
}

/** What one file says. `root` null: nothing usable, and `problems` says why. */
export interface YamlFile {
  root: Node | null;
  problems: Problem[];
}

/** Plain values of a subtree, frozen at every depth. */
export function plain(node: Node): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return Object.freeze(node.items.map(plain));
  return plainMap(node);
}

export function plainMap(node: MapNode): Readonly<Record<string, unknown>> {
  return Object.freeze(Object.fromEntries([...node.entries].map(([key, entry]) => [key, plain(entry.node)])));
}

/** A word for messages: what was found where something else was expected. */
export function kindOf(node: Node): string {
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'map') return 'a mapping';
  if (node.value === null) return 'nothing';
  if (typeof node.value === 'string') return 'text';
  return typeof node.value === 'number' ? 'a number' : 'true or false';
}
