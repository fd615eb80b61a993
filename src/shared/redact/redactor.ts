import { MASK } from '../secrets.ts';
import { formsOf, isMaskable } from './forms.ts';
import { createMatcher, type Match } from './matcher.ts';
import { CONTEXT, findTokens, LONGEST_TOKEN, type Span } from './patterns.ts';
import { findKeys } from './private-keys.ts';

export interface Findings {
  /** Known values, each where it stands; they may overlap. */
  known: readonly Match[];
  /** What is a secret by its looks. */
  tokens: readonly Span[];
  /** The bodies of private keys. */
  keys: readonly Span[];
  /** Everything to mask, in order, without overlaps. */
  spans: readonly Span[];
}

/** Knows the secrets of one scope, in all their spellings. Compiled once. */
export interface Redactor {
  /** The values that it knows, as `Match.value` counts them. */
  readonly values: readonly string[];
  /** No secret that can be found in one line is longer, the words before it included. */
  readonly reach: number;
  /** Looks at clean text of one line. `inside`: it goes on within a private key. */
  find(text: string, inside?: boolean): Findings;
  /** Clean text of one line without secrets. */
  mask(text: string): string;
}

const NOTHING: Findings = { known: [], tokens: [], keys: [], spans: [] };
/** What cleaning makes of control characters. They may stand within a secret, as carriage returns of a progress bar do. */
const PICTURE = /[\u2400-\u2421\ufffd]/;

export function createRedactor(secrets: readonly string[]): Redactor {
  const values = [...new Set(secrets.map((value) => value.trim()))].filter(isMaskable);
  const forms = values.map(formsOf);
  const match = createMatcher(forms);
  const longest = forms.flat().reduce((most, { text }) => Math.max(most, text.length), 0);
  const find = (text: string, inside = false): Findings => {
    const known = PICTURE.test(text) ? matchThrough(text, match) : match(text);
    const keys = findKeys(text, inside);
    const tokens = findTokens(text);
    if (known.length + keys.length + tokens.length === 0) return NOTHING;
    return { known, tokens, keys, spans: union([...known, ...keys, ...tokens]) };
  };
  return {
    values,
    reach: 2 * Math.max(longest, LONGEST_TOKEN + CONTEXT),
    find,
    mask: (text) => maskSpans(text, find(text).spans),
  };
}

/** Replaces the spans that begin or end between `from` and `to`, and answers only that part of the text. */
export function maskSpans(text: string, spans: readonly Span[], from = 0, to = text.length): string {
  if (spans.length === 0 && from === 0 && to === text.length) return text;
  let masked = '';
  let at = from;
  for (const { start, end } of spans) {
    if (end <= from || start >= to) continue;
    masked += text.slice(at, Math.max(start, at)) + MASK;
    at = Math.min(end, to);
  }
  return masked + text.slice(at, to);
}

/** Matches, and those that would be some if the pictures were not there. */
function matchThrough(text: string, match: (text: string) => Match[]): Match[] {
  const places: number[] = [];
  let bare = '';
  for (let at = 0; at < text.length; at++) {
    if (PICTURE.test(text[at]!)) continue;
    places.push(at);
    bare += text[at];
  }
  const found = match(text);
  const starts = new Set(found.map(({ start }) => start));
  const through = match(bare).map(({ start, end, value }) => ({
    start: places[start]!,
    end: places[end - 1]! + 1,
    value,
  }));
  return [...found, ...through.filter(({ start }) => !starts.has(start))];
}

/** Overlapping and touching spans become one, so that no piece of a secret stays between two masks. */
function union(spans: readonly Span[]): Span[] {
  const sorted = spans.filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start);
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of sorted) {
    const last = merged.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}
