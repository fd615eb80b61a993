import { decodeCursor, encodeCursor, foreignCursor } from './cursor.ts';
import { clippedText, fitting } from './present-run.ts';

/** Characters of one answer, about 5,500 tokens, and of its lists however much is beside them. */
const [ANSWER_CHARACTERS, LEAST_CHARACTERS] = [22_000, 6_000];

type Lists = Record<string, readonly unknown[]>;
type Position = Record<string, number>;

interface PortionRequest {
  cursor: string | undefined;
  question: unknown;
  /** What else the answer says. */
  beside: unknown;
}

/** `left_out`: how many come after these, of each list that goes on; empty: none. */
export interface Portion<Names extends string> {
  shown: Partial<Record<Names, unknown[]>>;
  left_out: Partial<Record<Names, number>>;
  next_cursor: string | null;
}

/**
 * The long lists of an answer that is about one thing. They share its room, short ones first, and one cursor goes on
 * with all of them; a list that is over by then is not shown again.
 */
export function portionOf<Names extends string>(
  lists: Record<Names, readonly unknown[]>,
  { cursor, question, beside }: PortionRequest,
): Portion<Names> {
  const from = positionOf(decodeCursor(question, cursor), lists);
  const going = Object.entries<readonly unknown[]>(lists)
    .filter(([name]) => from === null || Object.hasOwn(from, name))
    .map(([name, list]) => {
      const start = from?.[name] ?? 0;
      const rest = clipped(list.slice(start)) as unknown[];
      return { name, start, rest, size: JSON.stringify(rest).length };
    });
  const portion: Portion<string> = { shown: {}, left_out: {}, next_cursor: null };
  const reached: Position = {};
  let room = Math.max(LEAST_CHARACTERS, ANSWER_CHARACTERS - JSON.stringify(beside).length);
  for (const [index, { name, start, rest }] of going.sort((a, b) => a.size - b.size).entries()) {
    const shown = rest.slice(0, fitting(rest, room / (going.length - index)));
    room -= JSON.stringify(shown).length;
    portion.shown[name] = shown;
    if (shown.length === rest.length) continue;
    portion.left_out[name] = rest.length - shown.length;
    reached[name] = start + shown.length;
  }
  if (Object.keys(reached).length > 0) portion.next_cursor = encodeCursor(question, reached);
  return portion;
}

/** What an answer says of it: nothing where all of it is there. */
export function restOf({ left_out, next_cursor }: Portion<string>): Record<string, unknown> {
  return next_cursor === null ? {} : { left_out, next_cursor };
}

function positionOf(position: unknown, lists: Lists): Position | null {
  if (position === null) return null;
  if (typeof position !== 'object' || Array.isArray(position)) throw foreignCursor();
  const entries = Object.entries(position as Record<string, unknown>);
  const isPlace = ([name, start]: [string, unknown]): boolean =>
    Object.hasOwn(lists, name) && Number.isSafeInteger(start) && Number(start) > 0;
  if (entries.length === 0 || !entries.every(isPlace)) throw foreignCursor();
  return position as Position;
}

/** The same with long texts cut, which is said where it happens. */
export function clipped(value: unknown, characters?: number): unknown {
  if (typeof value === 'string') return clippedText(value, characters);
  if (Array.isArray(value)) return value.map((member) => clipped(member, characters));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, clipped(member, characters)]),
  );
}

/** A list within one of those, as far as it is so many characters; of the rest it is said how many, and what has it. */
export function beginningOf(list: Record<string, readonly unknown[]>, characters: number): Record<string, unknown> {
  const [name, members] = Object.entries(list)[0]!;
  const cut = members.map((member) => clipped(member, characters));
  const shown = cut.slice(0, fitting(cut, characters));
  const more = cut.length - shown.length;
  return { [name]: shown, ...(more > 0 && { [`more_${name}`]: more, in_full: 'plan_action of its block and action' }) };
} // prettier-ignore
