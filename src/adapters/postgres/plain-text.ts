/**
 * Text as PostgreSQL can hold it outside of JSON: no NUL, no half of a surrogate pair. It goes into columns that are
 * searched, and through the same function go the words to search for. The record itself keeps every character,
 * because JSON writes both as escapes.
 */
export function plain(text: string): string {
  if (text.isWellFormed() && !text.includes('\0')) return text;
  return Buffer.from(text.replaceAll('\0', '\u2400')).toString();
}

export function plainOrNull(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : plain(text);
}
