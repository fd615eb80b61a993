import type { FileChoice, Problem } from '../../blocks/block.ts';
import { type ActionDeclaration, type BlockDeclaration, TEXT_FIELDS } from '../../blocks/declaration.ts';
import { type Fields, fieldsOf } from './fields.ts';
import { type ListNode, type MapNode, type Node, plainMap, type YamlFile } from './yaml-nodes.ts';

/** Keys of block.poly that the strict reader of the 2025 CLI knows (polycrate-cli facts 2.2). */
const KEYS_OF_2025 = new Set(
  (
    'name description kind type flavor labels alias actions changelog config from template version workdir ' +
    'inventory kubeconfig artifacts checksum schema'
  ).split(' '),
);
const MAX_NAMED = 5;
/** Newer keys that only describe the software (facts 2.2). */
const ABOUT = [
  'display_name',
  'icon_url',
  'git_repository_url',
  'license',
  'license_url',
  'website_url',
  'documentation_url',
  'releases_url',
  'supports_ha',
  'implementation',
];

/** What one block.poly yields: at most one block, and the problems of a file that yields none. */
export interface BlockFile {
  block: BlockDeclaration | null;
  problems: readonly Problem[];
}

/** A file with errors still yields its block when it has a name, so that nothing else takes its place. */
export function readBlockFile(yaml: YamlFile, place: { file: string; dir: string }): BlockFile {
  const { file, dir } = place;
  if (yaml.root?.kind !== 'map') {
    const line = yaml.root?.line ?? null;
    const message = 'expected a mapping with at least a name; the file is empty or holds something else';
    const own: Problem[] = yaml.problems.length > 0 ? [] : [{ severity: 'error', file, line, message }];
    return { block: null, problems: [...yaml.problems, ...own] };
  }
  const problems = [...yaml.problems];
  const block = readBlock(yaml.root, { file, problems, layer: 'block', dir });
  const newer = [...yaml.root.entries].filter(([key]) => !KEYS_OF_2025.has(key));
  for (const [key, { line }] of newer.slice(0, MAX_NAMED)) {
    const message = `the 2025 CLI does not know the key ${key} and refuses the whole workspace`;
    problems.push({ severity: 'difference', file, line, message });
  }
  return block ? { block, problems: [] } : { block: null, problems };
}

/** One block, from block.poly or from an entry of workspace.poly; null, with a problem, where the name is missing. */
export function readBlock(
  map: MapNode,
  into: { file: string; problems: Problem[]; layer: BlockDeclaration['layer']; dir: string | null },
): BlockDeclaration | null {
  const { file, problems, layer, dir } = into;
  const fields = fieldsOf(map, into);
  const name = fields.text('name');
  if (!name) {
    fields.report('name: a block needs a name', fields.line('name'));
    return null;
  }
  const from = fields.text('from');
  const config = fields.map('config');
  const text = TEXT_FIELDS.map((field) => [field, fields.text(field)] as const);
  return {
    name,
    at: { file, line: fields.line('name') },
    layer,
    dir,
    text: Object.fromEntries(text.filter(([, value]) => value !== undefined)),
    from: from ? { reference: from, at: { file, line: fields.line('from') } } : null,
    template: fields.flag('template'),
    labels: fields.labels('labels'),
    alias: fields.texts('alias'),
    about: readAbout(fields),
    config: config ? plainMap(config) : {},
    actions: readActions(fields.list('actions'), { file, problems }),
    inventory: readChoice(fields, 'inventory', into),
    kubeconfig: readChoice(fields, 'kubeconfig', into),
    problems,
  };
}

function readAbout(fields: Fields): Record<string, string> {
  const said = ABOUT.map((key) => [key, fields.text(key)] as const);
  return Object.fromEntries(said.filter((entry): entry is [(typeof ABOUT)[number], string] => !!entry[1]));
}

function readChoice(
  fields: Fields,
  key: 'inventory' | 'kubeconfig',
  into: { file: string; problems: Problem[] },
): FileChoice {
  const map = fields.map(key);
  if (!map) return { from: null, filename: null };
  const choice = fieldsOf(map, { ...into, where: key });
  return { from: choice.text('from') || null, filename: choice.text('filename') || null };
}

function readActions(
  list: ListNode | null,
  into: { file: string; problems: Problem[] },
): readonly ActionDeclaration[] {
  const actions = new Map<string, ActionDeclaration>();
  for (const item of list?.items ?? []) {
    const action = readAction(item, into);
    if (!action) continue;
    const first = actions.get(action.name);
    const problem = `the action is defined again in line ${action.at.line}`;
    actions.set(action.name, first ? { ...first, problem: first.problem ?? problem } : action);
  }
  return [...actions.values()];
}

/** Whatever is wrong inside an action is its own problem; only one that cannot be named is a problem of the file. */
function readAction(node: Node, into: { file: string; problems: Problem[] }): ActionDeclaration | null {
  const { file } = into;
  const skipped = (message: string): null => {
    into.problems.push({ severity: 'warning', file, line: node.line, message });
    return null;
  };
  if (node.kind !== 'map') return skipped('an entry of actions is not a mapping and is ignored');
  const problems: Problem[] = [];
  const fields = fieldsOf(node, { file, problems });
  const name = fields.text('name');
  if (!name) return skipped('an action without a name is ignored');
  const config = fields.map('config');
  const action = {
    name,
    at: { file, line: fields.line('name') },
    description: fields.text('description') || null,
    playbook: fields.text('playbook') || null,
    script: withoutEmptyOnly(fields.texts('script') ?? []),
    prompt: readPrompt(node, fields, { file, problems }),
    interactive: fields.flag('interactive'),
    alias: fields.texts('alias') ?? [],
    labels: fields.labels('labels'),
    config: config ? plainMap(config) : {},
  };
  return { ...action, problem: problems[0]?.message ?? null };
}

/** An empty script is none; empty lines inside a real one stay. */
function withoutEmptyOnly(script: string[]): string[] {
  return script.some((line) => line.trim() !== '') ? script : [];
}

/** `prompt.message`, or a plain text; anything else is reported rather than dropping a human's confirmation. */
export function readPrompt(
  map: MapNode,
  fields: Fields,
  into: { file: string; problems: Problem[] },
): string | null {
  const node = map.entries.get('prompt')?.node;
  if (node?.kind === 'scalar' && typeof node.value === 'string') return node.value || null;
  const prompt = fields.map('prompt');
  return prompt ? fieldsOf(prompt, { ...into, where: 'prompt' }).text('message') || null : null;
}
