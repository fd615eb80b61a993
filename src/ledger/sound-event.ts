import type { JsonObject } from '../shared/json.ts';
import { storedHash, type StoredEvent } from './chain.ts';
import { hmacSha256 } from './hmac.ts';
import { commitmentsOf, jsonObject } from './stored-text.ts';
import type { PlainValue } from './verify-projection.ts';

/** A private value with its salt in hexadecimal; null: what is stored there are no bytes. */
export interface SealedValue extends PlainValue {
  salt: string | null;
}

export interface SoundEvent {
  facts: JsonObject;
  /** Names of values that are gone. */
  erased: readonly string[];
}

/** Null: the event is not what was hashed, or a value not what was committed to. */
export function soundEvent(event: StoredEvent, values: readonly SealedValue[]): SoundEvent | null {
  if (!Number.isSafeInteger(event.at)) return null;
  const facts = jsonObject(event.facts);
  if (!facts || storedHash(event) !== event.hash) return null;
  const proven: [name: string, commitment: string][] = [];
  for (const { name, salt, value } of values) {
    if (salt === null || typeof value !== 'string') return null;
    proven.push([name, hmacSha256(salt, value)]);
  }
  // Names come in their order and commitments are canonical: where nothing was erased, the text is the same.
  if (event.commitments === textOf(proven)) return { facts, erased: NONE };
  const commitments = commitmentsOf(event);
  if (!commitments) return null;
  if (proven.some(([name, right]) => !Object.hasOwn(commitments, name) || commitments[name] !== right))
    return null;
  const left = new Set(proven.map(([name]) => name));
  return { facts, erased: Object.keys(commitments).filter((name) => !left.has(name)) };
}

const NONE: readonly string[] = [];

function textOf(commitments: readonly (readonly [name: string, commitment: string])[]): string {
  let text = '{';
  for (const [name, commitment] of commitments) {
    text += `${text.length > 1 ? ',' : ''}${JSON.stringify(name)}:"${commitment}"`;
  }
  return `${text}}`;
}
