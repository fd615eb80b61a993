import type * as Yaml from 'yaml';
import type { Problem } from '../../blocks/block.ts';
import { MAX_DEPTH } from '../../blocks/merge.ts';
import type { ListNode, MapNode, Node, ScalarNode, YamlFile } from './yaml-nodes.ts';

/** Values of one file with aliases written out; more is a bomb. */
const MAX_SIZE = 100_000;

interface Source {
  yaml: typeof Yaml;
  file: string;
  /** Line of an offset in the text, from 1. */
  line(offset: number): number;
}

interface Converter extends Source {
  problems: Problem[];
  /** Finished nodes by anchor; `null` while the node is still open, which makes an alias to it circular. */
  anchors: Map<string, Node | null>;
}

/** Turns the library's document into nodes. Errors leave what could be read, so that a name may be found. */
export function nodesOf(
  parsed: { first: Yaml.Document.Parsed; more: number | null },
  source: Source,
): YamlFile {
  const into: Converter = { ...source, problems: [], anchors: new Map() };
  for (const error of parsed.first.errors) report(into, error.pos[0], wordsOf(error));
  for (const warning of parsed.first.warnings) report(into, warning.pos[0], wordsOf(warning), 'warning');
  if (parsed.more !== null)
    report(into, parsed.more, 'only the first document of the file is read', 'warning');
  const root = convert(parsed.first.contents, into, 1);
  if (root.size <= MAX_SIZE) return { root, problems: into.problems };
  report(into, 0, `its aliases expand to more than ${MAX_SIZE} values`);
  return { root: null, problems: into.problems };
}

/** The library quotes the text it stumbled over, and that may be a secret. */
function wordsOf(error: Error): string {
  return error.message.replace(/: ".*$/s, '').slice(0, 160);
}

function convert(node: unknown, into: Converter, depth: number): Node {
  const { yaml } = into;
  const parsed = node as Yaml.ParsedNode | null;
  if (parsed === null || parsed === undefined) return nothing(1);
  const line = into.line(parsed.range[0]);
  if (yaml.isAlias(parsed)) return resolveAlias(parsed, into, depth);
  if (depth > MAX_DEPTH) {
    report(into, parsed.range[0], `is nested deeper than ${MAX_DEPTH} levels`);
    return nothing(line);
  }
  const { anchor } = parsed;
  if (anchor !== undefined) into.anchors.set(anchor, null);
  const converted = yaml.isMap(parsed)
    ? convertMap(parsed, into, depth)
    : yaml.isSeq(parsed)
      ? convertList(parsed, into, depth)
      : convertScalar(parsed, line);
  if (anchor !== undefined) into.anchors.set(anchor, converted);
  return converted;
}

function convertMap(map: Yaml.YAMLMap, into: Converter, depth: number): MapNode {
  const entries = new Map<string, { line: number; node: Node }>();
  const merged: Node[] = [];
  for (const { key, value } of map.items) {
    const offset = (key as Yaml.ParsedNode | null)?.range?.[0] ?? map.range?.[0] ?? 0;
    const node = convert(value, into, depth + 1);
    const name = keyOf(key, into);
    if (name === null) report(into, offset, 'a key must be a single text');
    else if (name === '__proto__') report(into, offset, 'the key __proto__ is ignored', 'warning');
    else if (name === '<<' && isPlain(key, into))
      merged.push(...(node.kind === 'list' ? node.items : [node]));
    else if (entries.has(name)) report(into, offset, `the key ${name} is written twice`);
    else entries.set(name, { line: into.line(offset), node });
  }
  for (const source of merged) addMerged(source, entries, into);
  const children = [...entries.values()].map((entry) => entry.node);
  return { kind: 'map', line: into.line(map.range?.[0] ?? 0), entries, ...measure(children) };
}

/** `<<`: keys of another map, unless the map has them itself. */
function addMerged(source: Node, entries: Map<string, { line: number; node: Node }>, into: Converter): void {
  if (source.kind !== 'map') {
    into.problems.push({
      severity: 'error',
      file: into.file,
      line: source.line,
      message: '<< must name a mapping',
    });
    return;
  }
  for (const [key, entry] of source.entries) if (!entries.has(key)) entries.set(key, entry);
}

function convertList(list: Yaml.YAMLSeq, into: Converter, depth: number): ListNode {
  const items = list.items.map((item) => convert(item, into, depth + 1));
  return { kind: 'list', line: into.line(list.range?.[0] ?? 0), items, ...measure(items) };
}

/** Numbers that a double cannot hold exactly, and those that JSON cannot write, are kept as text. */
function convertScalar(scalar: Yaml.Scalar.Parsed, line: number): ScalarNode {
  const { value } = scalar as { value: unknown };
  const text = scalar.source ?? (typeof value === 'string' ? value : '');
  const exact =
    typeof value === 'number' &&
    (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
      ? text
      : value;
  const kept = exact === null || ['string', 'number', 'boolean'].includes(typeof exact) ? exact : text;
  return { kind: 'scalar', line, value: kept as ScalarNode['value'], text, size: 1, height: 0 };
}

function resolveAlias(alias: Yaml.Alias.Parsed, into: Converter, depth: number): Node {
  const offset = alias.range[0];
  const target = into.anchors.get(alias.source);
  const line = into.line(offset);
  if (target === undefined) report(into, offset, `the alias *${alias.source} has no anchor above it`);
  else if (target === null) report(into, offset, `the alias *${alias.source} contains itself`);
  else if (depth + target.height > MAX_DEPTH)
    report(into, offset, `is nested deeper than ${MAX_DEPTH} levels`);
  else return target;
  return nothing(line);
}

function keyOf(key: unknown, into: Converter): string | null {
  const node = into.yaml.isAlias(key) ? into.anchors.get(key.source) : null;
  if (node?.kind === 'scalar') return node.text;
  if (!into.yaml.isScalar(key)) return null;
  const { anchor } = key;
  const scalar = convertScalar(key as Yaml.Scalar.Parsed, 1);
  if (anchor !== undefined) into.anchors.set(anchor, scalar);
  return scalar.value === null && scalar.text === '' ? null : scalar.text;
}

function isPlain(key: unknown, into: Converter): boolean {
  return into.yaml.isScalar(key) && key.type === 'PLAIN';
}

function nothing(line: number): ScalarNode {
  return { kind: 'scalar', line, value: null, text: '', size: 1, height: 0 };
}

function measure(children: readonly Node[]): { size: number; height: number } {
  let size = 1;
  let height = 0;
  for (const child of children) {
    size += child.size;
    height = Math.max(height, child.height + 1);
  }
  return { size, height };
}

function report(
  into: Converter,
  offset: number,
  message: string,
  severity: Problem['severity'] = 'error',
): void {
  into.problems.push({ severity, file: into.file, line: into.line(offset) || null, message });
}
