import { randomBytes } from 'node:crypto';
import { canonicalJson, isObject, sha256, type Json, type JsonObject } from '../shared/json.ts';
import type { LedgerEvent } from '../runs/action-run.ts';
import { commitment } from './chain.ts';
import { createTree } from './checkpoint-tree.ts';
import { PAGE_MIRRORED, type ForeignRecord, type ForeignRun } from './mirror.ts';
import type { PlainValue } from './verify-projection.ts';

// The bytes of mirrored rows, as FORMAT.md describes them.

/** What one source says of one run, as it lies in the table `mirrored`: nothing parsed. */
export interface MirroredRow {
  /** Of the event of its page, and its place in that page, from 0. */
  seq: number;
  position: number;
  source: string;
  endpoint: string;
  foreign_id: string;
  run_id: string;
  /** The run it belonged to before two runs turned out to be one. */
  was: string | null;
  duplicate_of: string | null;
  /** 0: a later row of the same source, endpoint and id counts. Tells nothing that the others do not. */
  current: number;
  /** Canonical JSON. */
  facts: string;
  /** Canonical JSON: name of each private value → commitment. */
  commitments: string;
  /** Canonical JSON: name of each private value that is left → {salt, value}. */
  private: string;
}

export const MIRRORED_COLUMNS = [
  'seq', 'position', 'source', 'endpoint', 'foreign_id', 'run_id', 'was', 'duplicate_of', 'current', 'facts',
  'commitments', 'private',
] as const; // prettier-ignore

/** SHA-256 over what cannot be erased. Sound only if `facts` and `commitments` are complete JSON objects. */
export function mirroredLeaf(row: Omit<MirroredRow, 'seq' | 'position' | 'current' | 'private'>): string {
  const text = JSON.stringify;
  return sha256(
    `{"duplicate_of":${text(row.duplicate_of)},"endpoint":${text(row.endpoint)},"facts":${row.facts},` +
      `"foreign_id":${text(row.foreign_id)},"format":1,"private":${row.commitments},` +
      `"run_id":${text(row.run_id)},"source":${text(row.source)},"was":${text(row.was)}}`,
  );
}

/** Hexadecimal digits of a leaf that the event repeats: enough to tell which row was changed, not that none was. */
export const MARK = 8;

/** `page_mirrored`: what the chain says of one page. */
export function pageEvent(
  { source, endpoint, at }: { source: string; endpoint: string; at: number },
  leaves: readonly string[],
): LedgerEvent {
  const tree = createTree();
  for (const leaf of leaves) tree.add(leaf);
  const marks = leaves.map((leaf) => leaf.slice(0, MARK)).join('');
  const facts = { source, endpoint, rows: leaves.length, root: tree.root(), marks };
  return { kind: PAGE_MIRRORED, run_id: '', at, facts, private: {} };
}

/** Fields about or typed by a person; dots reach into nested ones. */
const PERSONAL: ReadonlySet<string> = new Set([
  'workspace_path', 'hostname', 'os_user', 'principal', 'claimed_principal', 'client', 'reason', 'approval', 'cancelled_by', 'cancel_reason',
] as const satisfies (keyof ForeignRecord)[]); // prettier-ignore
const LOG_SHA256 = 'log.sha256';

export interface RowParts {
  facts: JsonObject;
  private: JsonObject;
}

/** Whoever places a page asks more than once. */
const parted = new WeakMap<ForeignRun, RowParts>();

/** What is stored as it is, and what is stored so that it can be erased. Fields that are null are left out. */
export function partsOf(row: ForeignRun): RowParts {
  const known = parted.get(row);
  if (known) return known;
  const parts = partsOfRecord(row);
  parted.set(row, parts);
  return parts;
}

function partsOfRecord({ identifiers, record }: ForeignRun): RowParts {
  const facts: JsonObject = { aliases: identifiers.map(({ source, endpoint, id }) => ({ source, endpoint, id })) };
  const values: JsonObject = {};
  for (const [name, given] of Object.entries(record)) {
    const value = asRead(given);
    if (value === null) continue;
    if (PERSONAL.has(name)) values[name] = value;
    else if (name === 'log' && isObject(value)) {
      const { sha256: digest = null, ...log } = value;
      facts['log'] = { ...log, sha256: null };
      if (digest !== null) values[LOG_SHA256] = digest;
    } else facts[name] = value;
  }
  return { facts, private: values };
} // prettier-ignore

/** A copy without members that are undefined, as it will be read again. */
function asRead(value: unknown): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  const text = JSON.stringify(value) as string | undefined;
  return text === undefined ? null : (JSON.parse(text) as Json);
}

/** Private values as erasing looks at them. */
export function plainValues(members: JsonObject): PlainValue[] {
  return Object.entries(members).map(([name, value]) => ({ name, value: canonicalJson(value) }));
}

interface Salted {
  [name: string]: { salt: string; value: Json };
}

/** Each value under a fresh salt: the texts of two columns. */
export function commitRow(members: JsonObject): Pick<MirroredRow, 'commitments' | 'private'> {
  const commitments: JsonObject = {};
  const salted: Salted = {};
  const names = Object.keys(members);
  const salts = randomBytes(SALT_BYTES * names.length);
  for (const [n, name] of names.entries()) {
    const salt = salts.subarray(SALT_BYTES * n, SALT_BYTES * (n + 1));
    const value = members[name]!;
    commitments[name] = commitment(salt, value);
    salted[name] = { salt: salt.toString('hex'), value };
  }
  return { commitments: canonicalJson(commitments), private: canonicalJson(salted) };
}

const SALT_BYTES = 16;

/** The private values that are left. */
export function valuesOf(row: Pick<MirroredRow, 'private'>): JsonObject {
  const salted = JSON.parse(row.private) as Salted;
  return Object.fromEntries(Object.entries(salted).map(([name, { value }]) => [name, value]));
}

/** The column `private` without some of its values. */
export function without(text: string, names: readonly string[]): string {
  const salted = JSON.parse(text) as Salted;
  return canonicalJson(Object.fromEntries(Object.entries(salted).filter(([name]) => !names.includes(name))));
}
