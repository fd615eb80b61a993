/**
 * Text as PostgreSQL can hold it outside of JSON: no NUL, no half of a surrogate pair. It goes into columns that are
 * searched, and through the same function go the words to search for. The record itself keeps every character,
 * because JSON writes both as escapes.
 */
export function plain(text: string): string {
  return Buffer.from(text.replaceAll('\0', '\u2400')).toString();
}

export function plainOrNull(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : plain(text);
}

/** Stands between the texts that are searched together; within one of them it is replaced. */
const BORDER = '\u0001';

/** For comparing without regard to case, the same way on both sides and in every ledger. */
export function fold(text: string): string {
  return plain(text).toLowerCase().replaceAll(BORDER, '\u2401');
}

/** One text in which a folded word is found only where one of the given texts has it. */
export function foldAll(texts: readonly (string | null | undefined)[]): string {
  return texts.flatMap((text) => (text === null || text === undefined ? [] : [fold(text)])).join(BORDER);
}
