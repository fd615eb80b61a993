import type { Problem } from '../../blocks/block.ts';
import { kindOf, type ListNode, type MapNode, type Node } from './yaml-nodes.ts';

/**
 * Reads the known keys of one mapping. Absent keys give undefined, an explicit null gives null where that makes
 * a difference; a value of another kind is reported with its line and treated as absent. Unknown keys are left
 * alone, because newer files have keys that we do not know.
 */
export interface Fields {
  text(key: string): string | null | undefined;
  flag(key: string): boolean | null;
  texts(key: string): string[] | null;
  labels(key: string): Record<string, string>;
  map(key: string): MapNode | null;
  list(key: string): ListNode | null;
  line(key: string): number;
  report(message: string, line: number | null, severity?: Problem['severity']): void;
}

/** `where` starts the messages: `config` gives "config.image: expected …". `fold`: keys match in any case. */
export function fieldsOf(
  map: MapNode,
  into: { file: string; problems: Problem[]; where?: string; fold?: boolean },
): Fields {
  const entries = into.fold ? folded(map) : map.entries;
  const prefix = into.where === undefined ? '' : `${into.where}.`;

  const report: Fields['report'] = (message, line, severity = 'error') => {
    into.problems.push({ severity, file: into.file, line, message });
  };
  const mismatch = (key: string, expected: string, node: Node): void =>
    report(`${prefix}${key}: expected ${expected}, found ${kindOf(node)}`, node.line);
  const find = (key: string): Node | undefined => entries.get(key)?.node;
  const ofKind = <K extends 'map' | 'list'>(key: string, kind: K): Extract<Node, { kind: K }> | null => {
    const node = find(key);
    if (!node || isNull(node)) return null;
    if (node.kind === kind) return node as Extract<Node, { kind: K }>;
    mismatch(key, kind === 'map' ? 'a mapping' : 'a list', node);
    return null;
  };
  const textItems = (key: string, items: readonly Node[]): string[] =>
    items.flatMap((item) => {
      if (item.kind === 'scalar' && item.value !== null) return [item.text];
      mismatch(key, 'a list of texts', item);
      return [];
    });

  return {
    report,
    line: (key) => entries.get(key)?.line ?? map.line,
    text: (key) => {
      const node = find(key);
      if (!node) return undefined;
      if (node.kind === 'scalar') return node.value === null ? null : node.text;
      mismatch(key, 'a text', node);
      return undefined;
    },
    flag: (key) => {
      const node = find(key);
      if (!node || isNull(node)) return null;
      const value = node.kind === 'scalar' ? FLAGS.get(node.text.toLowerCase()) : undefined;
      if (value === undefined) mismatch(key, 'true or false', node);
      return value ?? null;
    },
    texts: (key) => {
      const node = find(key);
      if (!node) return null;
      if (isNull(node)) return [];
      if (node.kind === 'map') mismatch(key, 'a list of texts', node);
      return node.kind === 'map' ? null : textItems(key, node.kind === 'list' ? node.items : [node]);
    },
    labels: (key) => {
      const pairs = [...(ofKind(key, 'map')?.entries ?? [])].flatMap(([name, { node }]) => {
        if (node.kind === 'scalar') return [[name, node.value === null ? '' : node.text] as const];
        mismatch(`${key}.${name}`, 'a text', node);
        return [];
      });
      return Object.fromEntries(pairs);
    },
    map: (key) => ofKind(key, 'map'),
    list: (key) => ofKind(key, 'list'),
  };
}

/** The words that YAML 1.1 readers, and so the CLI, take for a flag. */
const FLAGS = new Map([
  ...['true', 'yes', 'on', 'y'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', 'n'].map((word) => [word, false] as const),
]);

function isNull(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function folded(map: MapNode): Map<string, { line: number; node: Node }> {
  const entries = new Map([...map.entries].map(([key, entry]) => [key.toLowerCase(), entry]));
  for (const [key, entry] of map.entries) if (key === key.toLowerCase()) entries.set(key, entry);
  return entries;
}
