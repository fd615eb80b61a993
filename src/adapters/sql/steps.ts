export type Value = string | number;
export type Answer = Record<string, Value | null>;

/** A question to the database: our own text with a `?` for each value. */
export interface Statement {
  text: string;
  values: readonly Value[];
}

/**
 * The way to an answer, in statements that each database runs in its own manner, one after the other and in one
 * view of the ledger. What a statement answered comes back from `yield`.
 */
export type Steps<T> = Generator<Statement, T, Answer[]>;

/** One statement, its rows as the caller knows them to be. */
export function* ask<Row = Answer>(text: string, values: readonly Value[] = []): Steps<Row[]> {
  return (yield { text, values }) as Row[];
}

/** Where the databases differ. */
export interface Dialect {
  /** Position of a text in another one, 0 if it is not there. */
  position: 'instr' | 'strpos';
  /** As in `narrowOf`. */
  spell: (text: string) => string;
  /** Ends an inner SELECT that is to be planned by itself, where rows in the order of the outer one would cost far more. */
  apart: '' | 'OFFSET 0';
  /** Makes one text of the numbers in a column, and rows of such a text where it is bound. */
  numbers: { gathered: (column: string) => string; bound: string };
}

/** A list of numbers in a statement. They are ours, from the database itself; anything else is refused. */
export function list(numbers: readonly number[]): string {
  if (!numbers.every(Number.isSafeInteger)) throw new TypeError('not a list of whole numbers');
  return numbers.join(', ');
}
