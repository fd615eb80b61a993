import { randomBytes } from 'node:crypto';
import { canonicalJson, sha256, type Json, type JsonObject } from '../shared/json.ts';
import { hmacSha256 } from './hmac.ts';

// The bytes that are hashed, as FORMAT.md describes them for a second implementation.

/** `prev` of the first event of a ledger. */
export const GENESIS = '0'.repeat(64);

/** One link of the chain: what a stored event says, without its private values. */
export interface Link {
  /** Counts from 1 without gaps over all processes that write the ledger. */
  seq: number;
  at: number;
  kind: string;
  run_id: string;
  facts: JsonObject;
  /** Name of each private value → HMAC-SHA256 under its salt, hex. */
  commitments: { [name: string]: string };
  /** Hash of the event before. */
  prev: string;
}

/** SHA-256 over the canonical bytes of a link, hex. */
export function linkHash({ seq, at, kind, run_id, facts, commitments, prev }: Link): string {
  return sha256(canonicalJson({ format: 1, seq, at, kind, run_id, facts, private: commitments, prev }));
}

/** What stands in an event for a private value; without salt and value nobody can tell which it was. */
export function commitment(salt: Uint8Array, value: Json): string {
  return hmacSha256(salt, canonicalJson(value));
}

/** Private members of an event: what enters it, each under a fresh salt, and the values and salts to store apart. */
export function commitAll(members: JsonObject): {
  commitments: Record<string, string>;
  values: { name: string; salt: Buffer; value: string }[];
} {
  const commitments: Record<string, string> = {};
  const names = Object.keys(members);
  const salts = randomBytes(16 * names.length);
  const values = names.map((name, n) => {
    const member = members[name]!;
    const salt = salts.subarray(16 * n, 16 * (n + 1));
    commitments[name] = commitment(salt, member);
    return { name, salt, value: canonicalJson(member) };
  });
  return { commitments, values };
}

/** An event as it lies in the store, nothing parsed: a verifier trusts neither form nor type of a column. */
export interface StoredEvent {
  seq: number;
  at: number;
  kind: string;
  run_id: string;
  /** Canonical JSON. */
  facts: string;
  /** Canonical JSON. */
  commitments: string;
  prev: string;
  hash: string;
}

/** A private value as it lies in the store. */
export interface StoredValue {
  seq: number;
  name: string;
  salt: Uint8Array;
  /** Canonical JSON. */
  value: string;
}

/**
 * The hash that a stored event must have, from its columns as they are. Sound only if `facts` and `commitments`
 * are complete JSON objects, because then no byte can move from one column to another.
 */
export function storedHash({ seq, at, kind, run_id, facts, commitments, prev }: StoredEvent): string {
  const text = JSON.stringify;
  return sha256(
    `{"at":${at},"facts":${facts},"format":1,"kind":${text(kind)},"prev":${text(prev)},` +
      `"private":${commitments},"run_id":${text(run_id)},"seq":${seq}}`,
  );
}

/** The commitment that a stored private value must have. */
export function storedCommitment({ salt, value }: Pick<StoredValue, 'salt' | 'value'>): string {
  return hmacSha256(salt, value);
}
