import type { StandardSchemaWithJSON } from '@modelcontextprotocol/server';
import { z } from 'zod';

/**
 * A tool's schema as clients see it: without what some of them reject or what only costs tokens. Validation
 * is not done by the SDK but in check-input.ts, whose errors name the closest parameter.
 */
export function portableSchema(schema: z.ZodObject, io: 'input' | 'output'): StandardSchemaWithJSON {
  let json: Record<string, unknown> | null = null;
  const convert = (): Record<string, unknown> =>
    (json ??= slim(z.toJSONSchema(schema, { io })) as Record<string, unknown>);
  return {
    '~standard': {
      version: 1,
      vendor: 'polycrate-mcp',
      validate: (value) => ({ value }),
      jsonSchema: { input: convert, output: convert },
    },
  };
}

function slim(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(slim);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, member]) => !isNoise(key, member))
      .map(([key, member]) =>
        // Some clients reject a list of types, for example for what may be null.
        key === 'type' && Array.isArray(member)
          ? ['anyOf', member.map((type: unknown) => ({ type }))]
          : [key, key === 'properties' ? slimProperties(member) : slim(member)],
      ),
  );
}

/** Names of properties are data: a parameter called `minimum` must not vanish. */
function slimProperties(properties: unknown): unknown {
  return Object.fromEntries(
    Object.entries(properties as object).map(([name, schema]) => [name, slim(schema)]),
  );
}

const LENGTHS = ['minLength', 'maxLength', 'minItems', 'maxItems'];

function isNoise(key: string, value: unknown): boolean {
  // Answers may grow, and unknown arguments are refused by check-input.ts whatever the schema says.
  if (key === '$schema' || key === 'additionalProperties') return true;
  // Lengths are refused where they are passed; nobody chooses a name by them.
  if (LENGTHS.includes(key) && typeof value === 'number') return true;
  return (
    (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) ||
    (key === 'minimum' && value === Number.MIN_SAFE_INTEGER)
  );
}
