import { AppError } from '../shared/errors.ts';
import { canonicalJson, sha256 } from '../shared/json.ts';

/** What was asked yesterday is another question today: words like "last week" mean other days. */
const VALID_MS = 24 * 3_600_000;
/** Clocks of servers that share a ledger may differ. */
const AHEAD_MS = 5 * 60_000;

/** An opaque cursor is bound to its question: with other filters it would silently skip rows. */
export function encodeCursor(question: unknown, position: unknown, now = Date.now()): string {
  return Buffer.from(JSON.stringify([markOf(question), position, now])).toString('base64url');
}

/** The position inside a cursor, or null without one. Throws `invalid_argument` for foreign and for old cursors. */
export function decodeCursor(question: unknown, cursor: string | undefined, now = Date.now()): unknown {
  if (cursor === undefined) return null;
  const [mark, position, made_at] = parse(cursor);
  // A position is never null, so that null can only mean that no cursor was given.
  if (mark !== markOf(question) || position === null || position === undefined) throw foreignCursor();
  if (typeof made_at !== 'number' || made_at > now + AHEAD_MS) throw foreignCursor();
  if (now - made_at > VALID_MS) throw expiredCursor();
  return position;
}

/** How many rows an answer leaves out, where that is what a position is. */
export function skipOf(position: unknown): number {
  if (position === null) return 0;
  if (typeof position === 'number' && Number.isSafeInteger(position) && position > 0) return position;
  throw foreignCursor();
}

export function foreignCursor(): AppError {
  return new AppError('invalid_argument', 'this cursor is not from an answer to the same question', {
    next: 'repeat the call without cursor, then use its next_cursor with the same arguments',
  });
}

function expiredCursor(): AppError {
  return new AppError('invalid_argument', 'this cursor is more than 24 hours old', {
    next: 'repeat the call without cursor: the answer may be another one by now',
  });
}

function markOf(question: unknown): string {
  return sha256(canonicalJson(question)).slice(0, 16);
}

function parse(cursor: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

interface PageRequest<T> {
  /** How many of these an answer has room for; without it all. */
  fits?: (items: readonly T[]) => number;
  limit: number;
  cursor?: string | undefined;
  question: unknown;
}

/** One page of a list that is in memory anyway. */
export function pageOf<T>(
  items: readonly T[],
  { limit, cursor, question, fits }: PageRequest<T>,
): { items: T[]; returned: number; total: number; next_cursor: string | null } {
  const from = decodeCursor(question, cursor);
  const start = from ?? 0;
  if (typeof start !== 'number' || !Number.isSafeInteger(start) || start < 0) throw foreignCursor();
  const asked = items.slice(start, start + limit);
  const shown = fits ? asked.slice(0, fits(asked)) : asked;
  const end = start + shown.length;
  return {
    items: shown,
    returned: shown.length,
    total: items.length,
    next_cursor: end < items.length ? encodeCursor(question, end) : null,
  };
}
