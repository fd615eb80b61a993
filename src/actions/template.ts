import { isObject } from '../shared/json.ts';

/** What stands in a template where only Ansible knows the value. */
export const UNKNOWN = Symbol('unknown');

export interface Variables {
  /** Highest precedence: extra vars. */
  extra: Readonly<Record<string, unknown>>;
  vars: Readonly<Record<string, unknown>>;
  /** True: a variable that is not among them may still be defined, or defined otherwise, elsewhere. */
  open: boolean;
}

const EXPRESSION =
  /\{\{-?\s*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*|\[(?:'[^'\]]*'|"[^"\]]*"|[0-9]+)\])*)\s*(?:\|\s*default\(\s*(?:'([^'{]*)'|"([^"{]*)")\s*(?:,\s*(?:[Tt]rue|[Ff]alse)\s*)?\)\s*)?-?\}\}/g;

/**
 * Values of the simplest Jinja templates: paths into known variables, with a default text. Anything else is unknown.
 * A template that is one expression may give a list.
 */
export function renderSimply(text: string, variables: Variables): readonly string[] | typeof UNKNOWN {
  if (!/\{[{%#]/.test(text)) return [text];
  const [only] = [...text.matchAll(EXPRESSION)];
  if (only?.[0] === text.trim()) {
    const value = valueOf(only, variables);
    const list = Array.isArray(value) ? value.map(textOf) : [textOf(value)];
    return list.every((item) => typeof item === 'string') ? list : UNKNOWN;
  }
  let unknown = false;
  const rendered = text.replace(EXPRESSION, (...match) => {
    const value = textOf(valueOf(match as string[], variables));
    if (value === UNKNOWN) unknown = true;
    return value === UNKNOWN ? '' : value;
  });
  return unknown || /\{[{%#]/.test(rendered) ? UNKNOWN : [rendered];
}

function valueOf(
  [, root = '', path = '', single, double]: readonly (string | undefined)[],
  known: Variables,
): unknown {
  const fallback = single ?? double;
  if (!Object.hasOwn(known.extra, root) && known.open) return UNKNOWN;
  const start = Object.hasOwn(known.extra, root) ? known.extra : known.vars;
  let value: unknown = start;
  for (const name of [root, ...namesOf(path)]) {
    const here: unknown = value;
    if (isObject(here) && Object.hasOwn(here, name)) value = here[name];
    else if (Array.isArray(here) && /^[0-9]+$/.test(name) && Number(name) < here.length)
      value = here[Number(name)];
    else return fallback ?? UNKNOWN;
  }
  return value;
}

function namesOf(path: string): string[] {
  return [...path.matchAll(/\.(\w+)|\['([^']*)'\]|\["([^"]*)"\]|\[([0-9]+)\]/g)].map(
    ([, dotted, single, double, index]) => dotted ?? single ?? double ?? index ?? '',
  );
}

/** What Ansible would print, or template once more, is left to it. */
function textOf(value: unknown): string | typeof UNKNOWN {
  if (typeof value === 'number' && Number.isInteger(value)) return String(value);
  return typeof value === 'string' && !/\{[{%#]/.test(value) ? value : UNKNOWN;
}
