import type { SealedValue } from './sound-event.ts';

/** Stands between the parts of a text that a database joins. */
const SEPARATOR = '\u001f';

/**
 * The private values of an event as one text, which costs a third of what their rows would: how many there are, then a
 * separator before each name, each salt in hexadecimal and each value. Null: they have to be read one by one. With as many
 * parts as there are columns no column has a separator in it, so that each part is one.
 */
export function splitValues(joined: string): SealedValue[] | null {
  const [count, ...parts] = joined.split(SEPARATOR);
  if (parts.length !== 3 * Number(count)) return null;
  const values: SealedValue[] = [];
  for (let n = 0; n < parts.length; n += 3) {
    values.push({ name: parts[n]!, salt: parts[n + 1]!, value: parts[n + 2]! });
  }
  return values;
}
