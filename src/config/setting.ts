import { type z } from 'zod';
import { type Place } from './parsers.ts';

/** One setting: the single source of parsing, README table, `.env.example`, `--help` and error texts. */
export interface Setting<T = unknown, F extends string | null = string | null> {
  variable: string;
  /** One sentence. */
  meaning: string;
  /** What is valid, for humans. */
  form: string;
  /** Read like any other text; null: the value is null when nobody set it. */
  fallback: F;
  /** What happens without a value, where `fallback` is null. */
  unset?: string;
  /** Never a flag (process lists show those), never repeated in a message, also readable from `…_FILE`. */
  secret?: true;
  schema: (place: Place) => z.ZodType<T, string>;
}

export type Table = Readonly<Record<string, Setting>>;

/** The parsed values of a table; what has no fallback may be null. */
export type Values<S extends Table> = {
  readonly [K in keyof S]:
    z.output<ReturnType<S[K]['schema']>> | (null extends S[K]['fallback'] ? null : never);
};

export const PREFIX = 'POLYCRATE_MCP_';

/** Keeps the types of an entry. */
export function setting<T, F extends string | null>(entry: Setting<T, F>): Setting<T, F> {
  return entry;
}
