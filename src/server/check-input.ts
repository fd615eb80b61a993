import { type z } from 'zod';
import { AppError } from '../shared/errors.ts';
import { closest } from '../shared/names.ts';
import type { Tool } from '../tools/tool.ts';

/** No argument is longer: refused before any expression or look-up sees it. */
const LONGEST_TEXT = 2_000;
const LONGEST_LIST = 100;
const MOST_PROBLEMS = 5;

// One strict copy per schema, made once: unknown parameters are refused, never dropped.
const strict = new WeakMap<z.ZodObject, z.ZodObject>();

/** Checks a call's arguments. Throws `invalid_argument` that names the problems and what would be valid. */
export function checkInput(tool: Tool, input: unknown): never {
  const given = input ?? {};
  const parameters = Object.keys(tool.input.shape);
  refuseUnknown(tool, given, parameters);
  refuseOversized(tool, given);
  let schema = strict.get(tool.input);
  if (!schema) strict.set(tool.input, (schema = tool.input.strict()));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data as never;
  const { issues } = parsed.error;
  const more = issues.length > MOST_PROBLEMS ? [`${issues.length - MOST_PROBLEMS} more problems`] : [];
  const valid = issues.map((issue) => options(issue, given)).find((names) => names !== null);
  throw new AppError(
    'invalid_argument',
    `${tool.name}: ${[...issues.slice(0, MOST_PROBLEMS).map(sentence), ...more].join('; ')}`,
    { ...(valid && { valid }), next: nextCall(tool, parameters) },
  );
}

/** By own keys, because a schema does not see all of them (`__proto__`). */
function refuseUnknown(tool: Tool, given: object, parameters: readonly string[]): void {
  const unknown = Object.keys(given).filter((name) => !parameters.includes(name));
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, MOST_PROBLEMS).map((name) => JSON.stringify(shorten(name)));
  throw new AppError('invalid_argument', `${tool.name}: unknown parameter ${shown.join(', ')}`, {
    valid: closest(unknown[0]!, parameters),
    next: nextCall(tool, parameters),
  });
}

function refuseOversized(tool: Tool, given: object): void {
  for (const [name, value] of Object.entries(given)) {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    const long = list.length > LONGEST_LIST ? undefined : list.find(isLongText);
    if (long === undefined && list.length <= LONGEST_LIST) continue;
    const [size, most] =
      long === undefined
        ? [`${list.length} entries`, LONGEST_LIST]
        : [`${long.length} characters`, LONGEST_TEXT];
    throw new AppError('invalid_argument', `${tool.name}: ${name} has ${size}; at most ${most} are read`, {
      next: `repeat ${tool.name} with a shorter ${name}`,
    });
  }
}

function isLongText(value: unknown): value is string {
  return typeof value === 'string' && value.length > LONGEST_TEXT;
}

function nextCall(tool: Tool, parameters: readonly string[]): string {
  return `repeat ${tool.name} with its parameters: ${parameters.join(', ') || 'none'}`;
}

type Issue = z.core.$ZodIssue;

function sentence(issue: Issue): string {
  const where = issue.path.join('.');
  const problem =
    issue.code === 'invalid_union'
      ? [...new Set(issue.errors.flat().map(({ message }) => message))].slice(0, 3).join(', or: ')
      : issue.message;
  return where === '' ? problem : `${where}: ${problem}`;
}

/** The values that an enumerated parameter takes, closest to the given one first; null for other problems. */
function options(issue: Issue, given: object): string[] | null {
  const found = issue.code === 'invalid_union' ? issue.errors.flat() : [issue];
  const values = found.flatMap((one) => (one.code === 'invalid_value' ? one.values.map(String) : []));
  if (values.length === 0) return null;
  const value: unknown = (given as Record<string, unknown>)[String(issue.path[0])];
  return typeof value === 'string' ? closest(value, values, values.length) : [...new Set(values)];
}

function shorten(name: string): string {
  return name.length > 60 ? `${name.slice(0, 60)}…` : name;
}
