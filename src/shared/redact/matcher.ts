import type { Form } from './forms.ts';

/** Where in a text a known value stands. `value` is its number in the list that was compiled. */
export interface Match {
  start: number;
  end: number;
  value: number;
}

interface Entry extends Form {
  value: number;
}

const BLOCK = 3;
const BASE64 = /[A-Za-z0-9+/_-]/;

/**
 * Finds thousands of texts at once, by Wu and Manber: the last three characters of a window as long as the shortest
 * text tell how far the window may jump. Most windows jump, so a long log is mostly not even looked at.
 */
export function createMatcher(values: readonly (readonly Form[])[]): (text: string) => Match[] {
  const entries: Entry[] = values.flatMap((forms, value) => forms.map((form) => ({ ...form, value })));
  if (entries.length === 0) return () => [];
  const window = entries.reduce((least, { text }) => Math.min(least, text.length), Infinity);
  const { jumps, candidates } = tablesOf(entries, window);
  return (text) => {
    const found: Match[] = [];
    let at = window - 1;
    while (at < text.length) {
      const block = blockAt(text, at);
      const jump = jumps[block]!;
      if (jump > 0) {
        at += jump;
        continue;
      }
      const start = at - window + 1;
      for (const entry of candidates.get(block)!) {
        if (!text.startsWith(entry.text, start)) continue;
        found.push(matchOf(text, start, entry));
        break;
      }
      at += 1;
    }
    return found;
  };
}

function tablesOf(
  entries: readonly Entry[],
  window: number,
): { jumps: Uint8Array; candidates: Map<number, Entry[]> } {
  const jumps = new Uint8Array(1 << 16).fill(Math.min(255, window - BLOCK + 1));
  const candidates = new Map<number, Entry[]>();
  for (const entry of entries) {
    for (let at = BLOCK - 1; at < window; at++) {
      const block = blockAt(entry.text, at);
      jumps[block] = Math.min(jumps[block]!, window - 1 - at);
    }
    const last = blockAt(entry.text, window - 1);
    const others = candidates.get(last);
    if (others) others.push(entry);
    else candidates.set(last, [entry]);
  }
  for (const list of candidates.values()) list.sort((a, b) => b.text.length - a.text.length);
  return { jumps, candidates };
}

function blockAt(text: string, at: number): number {
  return ((text.charCodeAt(at) << 10) ^ (text.charCodeAt(at - 1) << 5) ^ text.charCodeAt(at - 2)) & 0xffff;
}

function matchOf(text: string, start: number, { text: form, ragged, value }: Entry): Match {
  const end = start + form.length;
  if (!ragged) return { start, end, value };
  return {
    start: start > 0 && BASE64.test(text[start - 1]!) ? start - 1 : start,
    end: end < text.length && BASE64.test(text[end]!) ? end + 1 : end,
    value,
  };
}
