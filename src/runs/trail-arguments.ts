import type { Json } from '../shared/json.ts';
import { createRedactor } from '../shared/redact/redactor.ts';
import { redactText } from '../shared/redact/text.ts';
import { maskSecrets, secretValues } from '../shared/secrets.ts';

/** Characters of one text, and of all names and texts of one call together. */
const LONGEST = 500;
const STORED_CHARACTERS = 4_000;
const MOST_MEMBERS = 50;
const DEEPEST = 8;

/** Arguments as the trail keeps them: what they and `redact` know as secrets masked, cleaned, bounded. */
export function storedArguments(given: Json, redact: (text: string) => string): Json {
  const own = createRedactor(secretValues(given));
  return shortened(maskSecrets(given) as Json, STORED_CHARACTERS, (text) => redact(redactText(own, text)));
}

/** The same value with at most about that many characters; what was left out is marked where it was. */
export function shortened(value: Json, characters: number, clean = (text: string): string => text): Json {
  let left = characters;
  const cut = (text: string): string => {
    const read = clean(text.slice(0, 2 * LONGEST));
    // A secret that the reading ended within is not known as one, and what was masked before it moves it forward.
    const sure = text.length > 2 * LONGEST ? read.length - LONGEST : read.length;
    const kept = read.slice(0, Math.max(0, Math.min(left, LONGEST, sure)));
    left -= kept.length;
    if (text.length <= 2 * LONGEST && kept.length === read.length) return kept;
    return `${kept}… (${text.length - kept.length} more characters)`;
  };
  const shorten = (part: Json, depth: number): Json => {
    if (typeof part === 'string') return cut(part);
    if (typeof part !== 'object' || part === null) {
      left -= 5;
      return part;
    }
    if (depth > DEEPEST) return '… (nested deeper)';
    if (Array.isArray(part)) return list(part, depth);
    return members(part, depth);
  };
  const list = (items: Json[], depth: number): Json => {
    const kept: Json[] = [];
    for (const item of items) {
      if (kept.length === MOST_MEMBERS || left <= 0) return [...kept, `… (${items.length - kept.length} more)`];
      kept.push(shorten(item, depth + 1));
    }
    return kept;
  }; // prettier-ignore
  const members = (part: { [key: string]: Json }, depth: number): Json => {
    const all = Object.entries(part);
    const kept: [string, Json][] = [];
    for (const [name, member] of all) {
      if (kept.length === MOST_MEMBERS || left <= 0) {
        kept.push(['…', `${all.length - kept.length} more`]);
        break;
      }
      kept.push([cut(name), shorten(member, depth + 1)]);
    }
    return Object.fromEntries(kept);
  };
  return shorten(value, 0);
}
