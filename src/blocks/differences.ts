import { isObject } from '../shared/json.ts';
import { areJoined } from './merge.ts';

type Values = Readonly<Record<string, unknown>>;

/** Configuration named in one message. */
const MAX_NAMED = 10;

/**
 * Paths where the child's value is empty and the parent's is not: the CLI of 2025 takes the parent's there
 * (polycrate-cli facts 3, trap 1).
 */
export function emptiedPaths(child: Values, parent: Values): string[] {
  const paths: string[] = [];
  for (const [key, ours] of Object.entries(child)) {
    const theirs = Object.hasOwn(parent, key) ? parent[key] : undefined;
    if (areJoined(ours, theirs)) {
      paths.push(...emptiedPaths(ours as Values, theirs as Values).map((path) => `${key}.${path}`));
    } else if (isEmpty(ours) && !isEmpty(theirs)) paths.push(key);
  }
  return paths.slice(0, MAX_NAMED);
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (isObject(value)) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === false || value === 0 || value === '';
}

/** Paths of keys with capital letters, which the snapshot of the 2025 CLI has in lower case (facts 4.12, trap 6). */
export function capitalKeys(values: unknown, path = ''): string[] {
  if (Array.isArray(values)) return [...new Set(values.flatMap((item) => capitalKeys(item, path)))];
  if (!isObject(values)) return [];
  const found = Object.entries(values).flatMap(([key, value]) => {
    const name = path === '' ? key : `${path}.${key}`;
    return [...(key === key.toLowerCase() ? [] : [name]), ...capitalKeys(value, name)];
  });
  return found.slice(0, MAX_NAMED);
}
