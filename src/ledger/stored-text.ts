import { isObject, type JsonObject } from '../shared/json.ts';
import type { StoredEvent } from './chain.ts';

/** The object that a column of an event holds; null: it holds something else. */
export function jsonObject(text: unknown): JsonObject | null {
  if (typeof text !== 'string') return null;
  try {
    const value: unknown = JSON.parse(text);
    // A JSON text may have white space around it, an event's columns may not.
    return isObject(value) && text.startsWith('{') && text.endsWith('}') ? (value as JsonObject) : null;
  } catch {
    return null;
  }
}

export function commitmentsOf(event: StoredEvent): Record<string, unknown> | null {
  return Number.isSafeInteger(event.at) ? jsonObject(event.commitments) : null;
}
