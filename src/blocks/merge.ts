import { AppError } from '../shared/errors.ts';
import { isObject } from '../shared/json.ts';
import type { ActionDeclaration } from './declaration.ts';

/** Deeper configuration is refused: nobody writes it, and recursion must end. */
export const MAX_DEPTH = 64;

type Values = Readonly<Record<string, unknown>>;

/**
 * Deep merge by key. What the child writes wins, also `false`, `0`, `""`, `null`, `[]` and a nested `{}`; lists
 * are never joined, and where one side is a map and the other is not, the child's is kept. An empty map at the
 * very top sets nothing. The result is frozen at every depth and shares nothing that can be changed.
 */
export function mergeValues(child: Values, parent: Values): Values {
  return mergeMaps(child, parent, 1);
}

function mergeMaps(child: Values, parent: Values, depth: number): Values {
  const merged: Record<string, unknown> = {};
  for (const key of ownKeys(parent)) merged[key] = frozen(parent[key], depth + 1);
  for (const key of ownKeys(child)) {
    const ours = child[key];
    const theirs = Object.hasOwn(parent, key) ? parent[key] : undefined;
    merged[key] = areJoined(ours, theirs)
      ? mergeMaps(ours as Values, theirs as Values, guarded(depth + 1))
      : frozen(ours, depth + 1);
  }
  TRUSTED.add(merged);
  return Object.freeze(merged);
}

/** True where both sides are maps and the child's says something: these are merged key by key. */
export function areJoined(ours: unknown, theirs: unknown): boolean {
  return isObject(ours) && isObject(theirs) && Object.keys(ours).length > 0;
}

/** A deep frozen copy; what is frozen already is used as it is. */
export function frozen(value: unknown, depth = 1): unknown {
  if (typeof value !== 'object' || value === null || TRUSTED.has(value)) return value;
  guarded(depth);
  const copy = Array.isArray(value)
    ? value.map((item) => frozen(item, depth + 1))
    : Object.fromEntries(
        ownKeys(value as Values).map((key) => [key, frozen((value as Values)[key], depth + 1)]),
      );
  TRUSTED.add(copy);
  return Object.freeze(copy);
}

/** Values that this module froze itself, all the way down. */
const TRUSTED = new WeakSet();

/** `__proto__` is left out: assigned to a plain object it would replace the prototype instead of being data. */
function ownKeys(map: Values): string[] {
  return Object.keys(map).filter((key) => key !== '__proto__');
}

function guarded(depth: number): number {
  if (depth > MAX_DEPTH) throw new AppError('broken_definition', `nested deeper than ${MAX_DEPTH} levels`);
  return depth;
}

/** By name: the child's actions first, filled from the parent's, then those that only the parent has. */
export function mergeActions(
  child: readonly ActionDeclaration[],
  parent: readonly ActionDeclaration[],
): ActionDeclaration[] {
  const theirs = new Map(parent.map((action) => [action.name, action]));
  const merged = child.map((action) => {
    const inherited = theirs.get(action.name);
    theirs.delete(action.name);
    return inherited ? mergeAction(action, inherited) : action;
  });
  return [...merged, ...theirs.values()];
}

/** A body, be it script or playbook, replaces the parent's whole body: never both from two files. */
function mergeAction(child: ActionDeclaration, parent: ActionDeclaration): ActionDeclaration {
  const body = hasBody(child) ? child : parent;
  return {
    name: child.name,
    at: child.at,
    description: child.description ?? parent.description,
    playbook: body.playbook,
    script: body.script,
    prompt: child.prompt ?? parent.prompt,
    interactive: child.interactive ?? parent.interactive,
    alias: child.alias.length > 0 ? child.alias : parent.alias,
    labels: { ...parent.labels, ...child.labels },
    config: mergeValues(child.config, parent.config),
    problem: child.problem ?? parent.problem,
  };
}

function hasBody(action: ActionDeclaration): boolean {
  return action.playbook !== null || action.script.length > 0;
}
