import { cleanLine, splitUnfinished } from '../clean-text.ts';
import { keyPartOf, LONGEST_MARKER, type KeyPart } from './private-keys.ts';
import { CONTEXT } from './patterns.ts';
import { maskSpans, type Findings, type Redactor } from './redactor.ts';

/** One stream of output: takes its lines in order, long ones in pieces, and answers what may be stored of each. */
export type CleanPiece = (piece: string, continues: boolean) => string;

interface Held {
  /** Bytes of a terminal sequence whose end has not come yet. */
  raw: string;
  /** Clean text; its first `told` characters were answered already and stay only for what comes after them. */
  text: string;
  told: number;
  /** The text goes on within a private key, behind this; null: it does not. */
  inside: KeyPart | null;
}

/**
 * Cleans first, because control characters can hide a secret, then masks. Of a line that continues, the end is
 * held back as far as a secret may reach, so that none crosses a border unseen. `seen` hears of each known value.
 */
export function createOutputCleaner(redactor: Redactor, seen: (value: number) => void): CleanPiece {
  let held: Held = { raw: '', text: '', told: 0, inside: null };
  let fresh = true;
  return (piece, continues) => {
    const [ready, raw] = continues ? splitUnfinished(held.raw + piece) : [held.raw + piece, ''];
    const text = held.text + cleanLine(ready);
    // Of a line that comes in pieces each is too long for a line of anything else.
    const part = held.inside && (!fresh || continues ? 'body' : keyPartOf(text, held.inside));
    const findings = redactor.find(text, part !== null);
    const cut = continues ? safeCut(text, findings, redactor.reach) : text.length;
    const answer = maskSpans(text, findings.spans, held.told, Math.max(cut, held.told));
    for (const { start, value } of findings.known) if (start >= held.told && start < cut) seen(value);
    fresh = !continues;
    if (continues) {
      const from = Math.max(0, cut - CONTEXT);
      // A key whose marker is kept is found again; one that began before what is kept is remembered.
      const within = findings.keys.some(
        ({ start, end }) => start <= cut && start - LONGEST_MARKER < from && from < end,
      );
      held = {
        raw,
        text: text.slice(from),
        told: Math.max(cut, held.told) - from,
        inside: within ? 'body' : null,
      };
    } else {
      held = { raw: '', text: '', told: 0, inside: openAfter(text, findings, part) };
    }
    return answer;
  };
}

/** Where in a key the next line begins. */
function openAfter(text: string, { keys }: Findings, part: KeyPart | null): KeyPart | null {
  const open = keys.at(-1);
  if (open?.end !== text.length) return null;
  if (open.start === 0 && part !== null) return part;
  return open.end - open.start < SHORTEST_BODY ? 'beginning' : 'body';
}

const SHORTEST_BODY = 16;

/** As far as everything is known: before what a secret may still need, and never within one. */
function safeCut(text: string, { known, tokens }: Findings, reach: number): number {
  const whole = [...known, ...tokens].sort((a, b) => a.start - b.start);
  return whole.reduce(
    (cut, { start, end }) => (start < cut && cut < end ? end : cut),
    Math.max(0, text.length - reach),
  );
}
