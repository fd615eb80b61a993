import { isObject, type Json } from '../shared/json.ts';
import { storedCommitment, type StoredEvent } from './chain.ts';
import { createTree } from './checkpoint-tree.ts';
import { PAGE_MIRRORED } from './mirror.ts';
import { MARK, mirroredLeaf, type MirroredRow } from './mirrored-row.ts';
import { PERSON_ERASED } from './upkeep.ts';
import { canonicalJson } from '../shared/json.ts';
import type { Finding } from './verify.ts';

/** Everything that is stored under one `seq` about a page. */
export interface PageParts {
  seq: number;
  /** Null: rows for an event that is not there, or that is of no page. */
  event: Pick<StoredEvent, 'kind' | 'facts'> | null;
  /** By position. */
  rows: readonly MirroredRow[];
}

/** Compares rows with what the chain says of their page. Answers how many private values are gone. */
export function checkPage({ seq, event, rows }: PageParts, found: (finding: Finding) => void): number {
  const facts = event?.kind === PAGE_MIRRORED ? factsOf(event.facts) : null;
  if (!facts) {
    for (const row of rows) found(fault('row_unexpected', row, 'stands in mirrored, but in no event'));
    return 0;
  }
  const there = new Map(rows.map((row) => [row.position, row]));
  const tree = createTree();
  let complete = true;
  let gone = 0;
  for (let position = 0; position < facts.rows; position++) {
    const row = there.get(position);
    there.delete(position);
    if (!row) {
      complete = false;
      const says = `row ${position} of the page of event ${seq} is missing in mirrored`;
      found({ fault: 'row_missing', seq, table: 'mirrored', says });
      continue;
    }
    const leaf = leafOf(row);
    const isMarked = leaf?.slice(0, MARK) === facts.marks.slice(MARK * position, MARK * (position + 1));
    if (!isMarked) {
      complete = false;
      found(fault('row_changed', row, 'is not what its page was hashed from'));
      continue;
    }
    tree.add(leaf);
    gone += checkValues(row, found);
  }
  for (const row of there.values()) found(fault('row_unexpected', row, 'was inserted: its page has no such row'));
  if (complete && tree.root() !== facts.root) {
    const says = `rows of the page of event ${seq} in mirrored are not what it was hashed from`;
    found({ fault: 'row_changed', seq, table: 'mirrored', says });
  }
  return gone;
} // prettier-ignore

interface PageFacts {
  rows: number;
  root: string;
  marks: string;
}

function factsOf(text: string): PageFacts | null {
  const facts = parsed(text);
  const { rows, root, marks } = facts ?? {};
  const wellTyped = Number.isSafeInteger(rows) && typeof root === 'string' && typeof marks === 'string';
  return wellTyped ? { rows: rows as number, root, marks } : null;
}

function parsed(text: unknown): Record<string, unknown> | null {
  if (typeof text !== 'string') return null;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && canonicalJson(value) === text ? value : null;
  } catch {
    return null;
  }
}

/** Null: a column is not even of the form it must have. */
function leafOf(row: MirroredRow): string | null {
  return parsed(row.facts) && parsed(row.commitments) ? mirroredLeaf(row) : null;
}

function checkValues(row: MirroredRow, found: (finding: Finding) => void): number {
  const commitments = parsed(row.commitments)!;
  const values = parsed(row.private);
  if (!values) {
    found({ ...fault('private_changed', row, 'has private values that cannot be read'), field: 'private' });
    return 0;
  }
  for (const [name, value] of Object.entries(values)) {
    const of = { ...fault('private_changed', row, `has a private value ${name} that was not committed to`), field: name };
    if (!Object.hasOwn(commitments, name)) found({ ...of, fault: 'private_unexpected' });
    else if (!isIntact(value, commitments[name])) found(of);
  }
  return Object.keys(commitments).filter((name) => !Object.hasOwn(values, name)).length;
} // prettier-ignore

function isIntact(value: unknown, commitment: unknown): boolean {
  if (!isObject(value) || typeof value['salt'] !== 'string') return false;
  const { salt, value: said } = value as { salt: string; value: Json };
  return storedCommitment({ salt: Buffer.from(salt, 'hex'), value: canonicalJson(said) }) === commitment;
}

/** How many values of mirrored rows an event says to have been erased. */
export function mirroredErasedBy({ kind, facts }: Pick<StoredEvent, 'kind' | 'facts'>): number {
  const values = kind === PERSON_ERASED ? parsed(facts)?.['mirrored_values'] : 0;
  return Number.isSafeInteger(values) ? (values as number) : 0;
}

/** More values of mirrored rows are gone than events tell of. */
export function mirroredSilence(values: number): Finding {
  const says = `${values} more private values of mirrored rows are gone than the ledger tells to have been erased: somebody else took them out`;
  return { fault: 'private_missing', table: 'mirrored', says };
}

/** The column that tells which rows count, which follows from the others. */
export function wrongCurrent(row: Pick<MirroredRow, 'seq' | 'position' | 'run_id'>): Finding {
  return { ...fault('row_changed', row, 'counts, or does not, where it must be the other way round'), field: 'current' };
} // prettier-ignore

function fault(what: Finding['fault'], { seq, position, run_id }: Pick<MirroredRow, 'seq' | 'position' | 'run_id'>, how: string): Finding {
  const says = `row ${position} of the page of event ${seq} (run ${run_id}) ${how}`;
  return { fault: what, seq, run_id, table: 'mirrored', says };
} // prettier-ignore
