import { type z } from 'zod';
import { AppError } from '../shared/errors.ts';
import { closest } from '../shared/names.ts';
import type { Tool } from '../tools/tool.ts';

// One strict copy per schema, made once: unknown parameters are refused, never dropped.
const strict = new WeakMap<z.ZodObject, z.ZodObject>();

/** Checks a call's arguments. Throws `invalid_argument` that names every problem and the closest parameter. */
export function checkInput(tool: Tool, input: unknown): never {
  let schema = strict.get(tool.input);
  if (!schema) strict.set(tool.input, (schema = tool.input.strict()));
  const parsed = schema.safeParse(input ?? {});
  if (parsed.success) return parsed.data as never;
  const parameters = Object.keys(tool.input.shape);
  const unknown = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? issue.keys : [],
  );
  throw new AppError('invalid_argument', `${tool.name}: ${parsed.error.issues.map(sentence).join('; ')}`, {
    valid: unknown.length > 0 ? closest(unknown[0]!, parameters) : parameters,
    next: `repeat ${tool.name} with its parameters: ${parameters.join(', ') || 'none'}`,
  });
}

function sentence(issue: z.core.$ZodIssue): string {
  const where = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') return `unknown parameter ${issue.keys.map(shorten).join(', ')}`;
  return where === '' ? issue.message : `${where}: ${issue.message}`;
}

function shorten(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}
