import { nameProblem } from '../shared/names.ts';
import { actionOf } from './actions.ts';
import type { Block, Problem } from './block.ts';
import { type BlockDeclaration, type Place, TEXT_FIELDS } from './declaration.ts';
import { emptiedPaths } from './differences.ts';
import { mergeActions, mergeValues } from './merge.ts';
import { inheritedOrigin, mergeOrigins, type Origin, originsOf } from './origin.ts';

/** A declaration on its way to a block: it also knows its folders and where each value was written. */
export interface Draft extends BlockDeclaration {
  dirs: readonly string[];
  origin: Readonly<Record<string, string>>;
  configOrigin: Origin;
}

export function draftOf(declaration: BlockDeclaration): Draft {
  const { at, name } = declaration;
  const keys = [
    'name',
    ...TEXT_FIELDS.filter((field) => declaration.text[field] !== undefined),
    ...declaration.actions.map((action) => `actions.${action.name}`),
  ];
  const bad = nameProblem(name);
  const problems = bad === null ? [] : [errorAt(at, `the block name ${bad}`)];
  return {
    ...declaration,
    dirs: declaration.dir === null ? [] : [declaration.dir],
    origin: Object.fromEntries(keys.map((key) => [key, at.file])),
    configOrigin: at.file,
    problems: [...declaration.problems, ...problems],
  };
}

/** Two declarations of one block: secrets.poly over workspace.poly over block.poly, or the first over a second. */
export function overSameName(child: Draft, parent: Draft): Draft {
  const merged = overlay(child, parent, parent);
  const mentioned = child.layer === 'workspace' && parent.layer === 'block';
  // Secrets only add values: where a block is declared, and whether it is mentioned, others say.
  const declared = child.layer === 'secrets' ? parent : child;
  return {
    ...merged,
    at: declared.at,
    layer: declared.layer,
    text: mentioned ? asInstance(merged, parent) : merged.text,
    from: child.from ?? parent.from,
    template: child.template ?? parent.template,
    dir: child.dir ?? parent.dir,
    problems: [...merged.problems, ...parent.problems],
  };
}

/** A block made `from` another one: works in the parent's folder and is no template because the parent is one. */
export function overParent(child: Draft, parent: Draft): Draft {
  const label = (origin: string): string =>
    origin.endsWith(')') ? origin : `${origin} (from ${parent.name})`;
  const inherited = Object.entries(parent.origin).map(([key, origin]) => [key, label(origin)] as const);
  const merged = overlay(child, parent, {
    origin: Object.fromEntries(inherited),
    configOrigin: inheritedOrigin(parent.configOrigin, label),
  });
  return { ...merged, text: asInstance(merged, parent), dir: parent.dir ?? child.dir };
}

function overlay(child: Draft, parent: Draft, inherited: Pick<Draft, 'origin' | 'configOrigin'>): Draft {
  return {
    ...child,
    text: { ...parent.text, ...child.text },
    labels: { ...parent.labels, ...child.labels },
    alias: child.alias ?? parent.alias,
    about: { ...parent.about, ...child.about },
    config: mergeValues(child.config, parent.config),
    actions: mergeActions(child.actions, parent.actions),
    inventory: chosen(child.inventory) ? child.inventory : parent.inventory,
    kubeconfig: chosen(child.kubeconfig) ? child.kubeconfig : parent.kubeconfig,
    dirs: [...new Set([...child.dirs, ...parent.dirs])],
    origin: mergeOrigin(child, inherited.origin),
    configOrigin: mergeOrigins(
      { values: child.config, origin: child.configOrigin },
      { values: parent.config, origin: inherited.configOrigin },
    ),
    problems: [
      ...child.problems,
      ...emptiedPaths(child.config, parent.config).map((path) => differenceAt(child.at, emptied(path))),
    ],
  };
}

function emptied(path: string): string {
  return `config.${path} is empty and takes effect; the 2025 CLI takes the inherited value instead`;
}

/** An action that both files write to names both, the stronger one first. */
function mergeOrigin(child: Draft, inherited: Readonly<Record<string, string>>): Record<string, string> {
  const merged: Record<string, string> = { ...inherited, ...child.origin };
  for (const [key, ours] of Object.entries(child.origin)) {
    const theirs = inherited[key];
    if (theirs !== undefined && theirs !== ours && key.startsWith('actions.'))
      merged[key] = `${ours}, ${theirs}`;
  }
  return merged;
}

/** The CLI calls an app that is mentioned or inherited from an instance, whatever the child says (facts 3). */
function asInstance(merged: Draft, parent: Draft): Draft['text'] {
  return parent.text.kind === 'k8sapp' ? { ...merged.text, kind: 'k8sappinstance' } : merged.text;
}

function chosen(choice: Draft['inventory']): boolean {
  return choice.from !== null || choice.filename !== null;
}

export function errorAt({ file, line }: Place, message: string): Problem {
  return { severity: 'error', file, line, message };
}

function differenceAt({ file, line }: Place, message: string): Problem {
  return { severity: 'difference', file, line, message };
}

export function blockOf(draft: Draft): Block {
  const text = (field: (typeof TEXT_FIELDS)[number]): string | null => draft.text[field] || null;
  return {
    name: draft.name,
    version: text('version'),
    app_version: text('app_version'),
    kind: text('kind'),
    type: text('type'),
    flavor: text('flavor'),
    description: text('description'),
    about: { ...draft.about },
    from: draft.from?.reference ?? null,
    template: draft.template ?? false,
    labels: { ...draft.labels },
    alias: [...(draft.alias ?? [])],
    config: mergeValues(draft.config, {}),
    actions: draft.actions.map(actionOf),
    dir: draft.dir,
    dirs: [...draft.dirs],
    inventory: { ...draft.inventory },
    kubeconfig: { ...draft.kubeconfig },
    origin: { ...draft.origin, ...originsOf({ values: draft.config, origin: draft.configOrigin }) },
    declared_in: draft.at.file,
    problems: draft.problems.filter(({ severity }) => severity !== 'difference'),
    differences: draft.problems.filter(({ severity }) => severity === 'difference'),
  };
}
