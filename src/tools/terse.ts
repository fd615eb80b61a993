import { z } from 'zod';
import { AppError } from '../shared/errors.ts';

// Filters that are spelt out in search_action_runs already: in other tools only what a client needs, because a list of
// tools is read again and again. What comes in is checked by the full schema.

export const word = z.string().optional();
// One string is taken as well; a list is shorter to say.
export const words = z
  .unknown()
  .meta({ type: 'array', items: { type: 'string' } })
  .optional();

/** The arguments as the full schema has them. */
export function inFull<Schema extends z.ZodObject>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const name = String(issue?.path[0] ?? 'an argument');
  const valid = issue && 'values' in issue ? (issue.values as unknown[]).map(String) : [];
  throw new AppError('invalid_argument', `${name} is not valid: ${issue?.message}`, {
    ...(valid.length > 0 && { valid }),
    next: `repeat the call with another ${name}`,
  });
}
