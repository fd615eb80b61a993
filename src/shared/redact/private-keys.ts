import type { Span } from './patterns.ts';

export const LONGEST_MARKER = 80;
const BEGIN = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const END = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const BODY = /^.{0,60}(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,100}={0,2}\W*$/;
const LAST = /^\W*[A-Za-z0-9+/]{1,76}={0,2}\W*$/;
const HEADER = /^\W*[A-Z][A-Za-z-]{2,20}: /;
const NOTHING = /^\W*$/;

/** What of a key came last: its beginning, a line of its body, or a shorter one, which is the last of a body. */
export type KeyPart = 'beginning' | 'body' | 'last';

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

/**
 * What a line after the beginning of a key is of it; null: nothing. A key without an end must not swallow the log,
 * not even lines of one word, of which a key has one at most.
 */
export function keyPartOf(text: string, before: KeyPart): KeyPart | null {
  if (BODY.test(text)) return 'body';
  if (NOTHING.test(text) || text.includes('-----END ')) return before;
  if (before === 'beginning') return HEADER.test(text) ? before : null;
  return before === 'body' && LAST.test(text) ? 'last' : null;
}
