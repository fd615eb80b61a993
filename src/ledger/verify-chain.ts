import { GENESIS, storedCommitment, storedHash, type StoredEvent, type StoredValue } from './chain.ts';
import { RUN_EVENT_KINDS } from '../runs/action-run.ts';
import { PERSON_ERASED, UPKEEP_EVENT_KINDS } from './upkeep.ts';
import { BUNDLE_IMPORTED } from './archive.ts';
import { HOUSE_EVENT_KINDS } from './house-events.ts';
import { PAGE_MIRRORED } from './mirror.ts';
import { CALLS_RECORDED } from '../runs/trail-event.ts';
import { createTree } from './checkpoint-tree.ts';
import { commitmentsOf, jsonObject } from './stored-text.ts';
import type { Erased, Finding, KnownState, StartingPoint, VerifyReport } from './verify.ts';

export interface ChainCheck {
  /** First of all: the event that the starting point ends with, null if it is gone, and the last one there is. */
  start(event: StoredEvent | null, last: number): void;
  /** Events in the order of `seq`, each with the private values that are stored for it. */
  event(event: StoredEvent, values: readonly StoredValue[]): void;
  /** A private value of an event that is not there. */
  stray(value: StoredValue): void;
  end(): Pick<VerifyReport, 'size' | 'head' | 'root' | 'frontier'>;
}

interface Sinks {
  found: (finding: Finding) => void;
  erased: (erased: Erased) => void;
}

export interface ChainTask extends Sinks {
  from: StartingPoint | null;
  known: readonly KnownState[];
}

/** Checks hashes, links, numbering and commitments in one pass, and that known states are on the way. */
export function createChainCheck({ from, known, found, erased }: ChainTask): ChainCheck {
  const tree = createTree(from?.size, from?.frontier);
  let size = from?.size ?? 0;
  let head = from?.head ?? GENESIS;
  /** What `prev` of the next event may be; null: cannot be told, because an event is missing. */
  let links: string[] | null = [head];
  /** An event whose content and hash differ: which of them was changed, the next event tells. */
  let pending: { event: StoredEvent; computed: string } | null = null;
  /** Values that are gone, and as many as events of erasures tell of: those come after what they erased. */
  let gone = 0;
  let told = 0;
  const lose = (loss: Erased): void => {
    gone += loss.names.length;
    erased(loss);
  };

  const settle = (next: StoredEvent | null): void => {
    if (!pending) return;
    const { event, computed } = pending;
    pending = null;
    const hash = next?.prev === computed;
    const field = hash ? 'hash' : next?.prev === event.hash ? 'at, run_id or facts' : undefined;
    found(changed(event, field));
  };

  const meet = (): void => {
    for (const state of known.filter((candidate) => candidate.size === size)) {
      if (state.head !== head || state.root !== tree.root()) found(mismatch(state));
    }
  };

  return {
    start(event, last) {
      if (!from) return;
      if (!event) found(cut({ name: 'an earlier verification', size }, last));
      else if (event.hash !== head || storedHash(event) !== head) found(changed(event, undefined));
      meet();
    },
    event(event, values) {
      settle(event);
      if (event.seq <= size) return found(unexpected(event));
      if (event.seq > size + 1) {
        found(missing(size + 1, event.seq - 1));
        links = null;
      }
      const commitments = commitmentsOf(event);
      const computed = commitments && isJsonObject(event.facts) ? storedHash(event) : null;
      const culprit = computed === event.hash ? null : suspect(event, values, links);
      if (computed === null) found(changed(event, malformed(event) ?? undefined));
      else if (culprit !== null) found(changed(event, culprit));
      else if (computed !== event.hash) pending = { event, computed };
      if (links && !links.includes(event.prev) && !culprit?.startsWith('prev')) found(broken(event));
      checkValues(event, { commitments: commitments ?? {}, values }, { found, erased: lose });
      told += valuesErasedBy(event);
      size = event.seq;
      head = computed ?? event.hash;
      links = computed === null ? [event.hash] : [event.hash, computed];
      tree.add(head);
      meet();
    },
    stray: (value) => found(unexpectedValue(value, null)),
    end() {
      settle(null);
      for (const state of known.filter((candidate) => candidate.size > size)) found(cut(state, size));
      if (gone > told) found(silence(gone - told));
      return { size, head, root: tree.root(), frontier: tree.frontier() };
    },
  };
}

/** How many values an event says to have been erased. */
export function valuesErasedBy({ kind, facts }: Pick<StoredEvent, 'kind' | 'facts'>): number {
  if (kind !== PERSON_ERASED) return 0;
  const values = jsonObject(facts)?.['values'];
  return Number.isSafeInteger(values) ? (values as number) : 0;
}

/** Puts what it should be in the place of one field after the other, until the hash is right again. */
function suspect(
  event: StoredEvent,
  values: readonly StoredValue[],
  links: readonly string[] | null,
): string | null {
  const fits = (patch: Partial<StoredEvent>): boolean => storedHash({ ...event, ...patch }) === event.hash;
  if (!Number.isSafeInteger(event.at) || !isJsonObject(event.facts)) return null;
  if (links?.some((prev) => fits({ prev }))) return 'prev';
  const kinds = [
    ...RUN_EVENT_KINDS, ...UPKEEP_EVENT_KINDS, ...HOUSE_EVENT_KINDS, CALLS_RECORDED, BUNDLE_IMPORTED, PAGE_MIRRORED,
  ]; // prettier-ignore
  if (kinds.some((kind) => fits({ kind }))) return 'kind';
  const names = recommitted(event, values);
  if (names && fits({ commitments: names.text })) return `commitments.${names.changed.join(', ')}`;
  return null;
}

/** The commitments as the private values that are left say them. */
function recommitted(
  event: StoredEvent,
  values: readonly StoredValue[],
): { text: string; changed: string[] } | null {
  const stored = commitmentsOf(event) ?? {};
  const right: Record<string, unknown> = { ...stored };
  for (const value of values) right[value.name] = storedCommitment(value);
  const changedNames = Object.keys(right).filter((name) => right[name] !== stored[name]);
  if (changedNames.length === 0) return null;
  const members = Object.keys(right)
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => `${JSON.stringify(name)}:${JSON.stringify(right[name])}`);
  return { text: `{${members.join(',')}}`, changed: changedNames };
}

function checkValues(
  event: StoredEvent,
  { commitments, values }: { commitments: Record<string, unknown>; values: readonly StoredValue[] },
  { found, erased }: Sinks,
): void {
  for (const value of values) {
    if (!Object.hasOwn(commitments, value.name)) found(unexpectedValue(value, event));
    else if (!isIntact(value, commitments[value.name])) found(changedValue(value, event));
  }
  const count = Object.keys(commitments).length;
  if (values.length >= count) return;
  const names = Object.keys(commitments).filter((name) => !values.some((value) => value.name === name));
  if (names.length > 0) erased({ seq: event.seq, run_id: event.run_id, names });
}

function isIntact(value: StoredValue, commitment: unknown): boolean {
  // Bytes in the place of a name are looked up as the text that they spell.
  const texts = typeof value.name === 'string' && typeof value.value === 'string';
  return texts && value.salt instanceof Uint8Array && storedCommitment(value) === commitment;
}

/** The first column that is not even of the form it must have. */
function malformed(event: StoredEvent): string | null {
  if (!Number.isSafeInteger(event.at)) return 'at';
  if (!isJsonObject(event.facts)) return 'facts';
  return isJsonObject(event.commitments) ? null : 'commitments';
}

function isJsonObject(text: unknown): boolean {
  return jsonObject(text) !== null;
}

function nameOf({ seq, run_id }: Pick<StoredEvent, 'seq' | 'run_id'>): string {
  return `event ${seq}${run_id && ` (run ${run_id})`}`;
}

function changed({ seq, run_id }: StoredEvent, field: string | undefined): Finding {
  const what = field === undefined ? 'a field' : field;
  const says = `${nameOf({ seq, run_id })} was changed: ${what} is not what was hashed`;
  return { fault: 'event_changed', seq, run_id, table: 'events', ...(field && { field }), says };
}

function missing(seq: number, to_seq: number): Finding {
  const says = seq === to_seq ? `event ${seq} is missing` : `events ${seq} to ${to_seq} are missing`;
  return { fault: 'event_missing', seq, to_seq, table: 'events', says };
}

function unexpected({ seq, run_id }: StoredEvent): Finding {
  const says = `${nameOf({ seq, run_id })} stands where no event can be: it was inserted`;
  return { fault: 'event_unexpected', seq, run_id, table: 'events', says };
}

function broken({ seq, run_id }: StoredEvent): Finding {
  const says = `${nameOf({ seq, run_id })} does not follow event ${seq - 1}: one of the two was replaced`;
  return { fault: 'link_broken', seq, run_id, table: 'events', field: 'prev', says };
}

function changedValue({ seq, name }: StoredValue, { run_id }: StoredEvent): Finding {
  const says = `the private value ${name} of ${nameOf({ seq, run_id })} is not the one that was committed to`;
  return { fault: 'private_changed', seq, run_id, table: 'event_private', field: String(name), says };
}

function unexpectedValue({ seq, name }: StoredValue, event: StoredEvent | null): Finding {
  const says = `there is a private value ${name} for event ${seq}, which ${event ? 'has no such field' : 'is not there'}`;
  const run = event && { run_id: event.run_id };
  return { fault: 'private_unexpected', seq, ...run, table: 'event_private', field: name, says };
}

function silence(values: number): Finding {
  const says = `${values} more private values are gone than the ledger tells to have been erased: somebody else took them out`;
  return { fault: 'private_missing', table: 'event_private', says };
}

function mismatch({ name, size }: Pick<KnownState, 'name' | 'size'>): Finding {
  const says = `the first ${size} events are not those that ${name} saw: the history was replaced`;
  return { fault: 'anchor_mismatch', seq: size, table: 'events', says };
}

function cut({ name, size }: Pick<KnownState, 'name' | 'size'>, last: number): Finding {
  const says = `${name} saw ${size} events, the ledger has ${last}: the rest was cut off, or an old copy was put in its place`;
  return { fault: 'anchor_mismatch', seq: last + 1, to_seq: size, table: 'events', says };
}
