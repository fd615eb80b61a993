import type { Span } from './patterns.ts';

export const LONGEST_MARKER = 80;
const BEGIN = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const END = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
/** A line of a key: long base64, a last short piece of it, one of its headers, or nothing. */
const BODY =
  /^.{0,60}(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,100}={0,2}\W*$|^\W*[A-Za-z0-9+/]{1,76}={0,2}\W*$|^\W*[A-Z][A-Za-z-]{2,20}: |^\W*$/;

/** The bodies of private keys between their markers. `inside`: the text goes on within one. */
export function findKeys(text: string, inside: boolean): Span[] {
  if (!inside && !text.includes('-----BEGIN ')) return [];
  const found: Span[] = [];
  let start = inside ? 0 : -1;
  let from = 0;
  for (;;) {
    const marker = start === -1 ? BEGIN : END;
    marker.lastIndex = from;
    const match = marker.exec(text);
    if (start !== -1) found.push({ start, end: match ? match.index : text.length });
    if (!match) return found;
    from = match.index + match[0].length;
    start = start === -1 ? from : -1;
  }
}

/** Whether a line after the beginning of a key is one of it: a key without an end must not swallow the whole log. */
export function isKeyLine(text: string): boolean {
  return BODY.test(text) || text.includes('-----END ');
}
