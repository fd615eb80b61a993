import { AppError } from '../shared/errors.ts';
import { canonicalJson, sha256 } from '../shared/json.ts';

/** An opaque cursor is bound to its question: with other filters it would silently skip rows. */
export function encodeCursor(question: unknown, position: unknown): string {
  return Buffer.from(JSON.stringify([markOf(question), position])).toString('base64url');
}

/** The position inside a cursor, or null without one. Throws `invalid_argument` for foreign cursors. */
export function decodeCursor(question: unknown, cursor: string | undefined): unknown {
  if (cursor === undefined) return null;
  const [mark, position] = parse(cursor);
  // A position is never null, so that null can only mean that no cursor was given.
  if (mark === markOf(question) && position !== null && position !== undefined) return position;
  throw foreignCursor();
}

export function foreignCursor(): AppError {
  return new AppError('invalid_argument', 'this cursor is not from an answer to the same question', {
    next: 'repeat the call without cursor, then use its next_cursor with the same arguments',
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

interface PageRequest {
  limit: number;
  cursor?: string | undefined;
  question: unknown;
}

/** One page of a list that is in memory anyway. */
export function pageOf<T>(
  items: readonly T[],
  { limit, cursor, question }: PageRequest,
): { items: T[]; returned: number; total: number; next_cursor: string | null } {
  const from = decodeCursor(question, cursor);
  const start = from ?? 0;
  if (typeof start !== 'number' || !Number.isSafeInteger(start) || start < 0) throw foreignCursor();
  const shown = items.slice(start, start + limit);
  const end = start + shown.length;
  return {
    items: shown,
    returned: shown.length,
    total: items.length,
    next_cursor: end < items.length ? encodeCursor(question, end) : null,
  };
}
