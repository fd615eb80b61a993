import { createHmac } from 'node:crypto';
import { isObject, type JsonObject } from '../shared/json.ts';
import type { PlainValue } from './verify-projection.ts';

// Which private values of which events are about a person. Names of values say what they are, whatever the kind of
// the event; where one event holds several acts, each has a number: `3.principal`, `3.arguments`.

/** The same name however it is typed. */
export function normalName(name: string): string {
  return name.trim().normalize('NFC').toLowerCase();
}

/** What stays of an erased name: enough to recognise it when it comes back, under a key and never in clear. */
export function tombstoneOf(name: string, key: Uint8Array): string {
  return createHmac('sha256', key)
    .update(`erased ${normalName(name)}`)
    .digest('hex');
}

/** A person by all names that the ledger has seen them under. */
export interface Person {
  /** First pass over all private values: learns the other names of principals that carry the given one. */
  learn(value: PlainValue): void;
  names(): string[];
  /** Second pass: does this value name the person? */
  isNamedIn(value: PlainValue): boolean;
}

export function createPerson(subject: string): Person {
  const given = normalName(subject);
  const names = new Set([given]);
  return {
    learn({ name, value }) {
      const role = roleOf(name);
      if (role !== 'principal' && role !== 'claimed_principal') return;
      const own = namesIn(role, value);
      if (own.includes(given)) for (const other of own) names.add(other);
    },
    names: () => [...names],
    isNamedIn: ({ name, value }) => namesIn(roleOf(name), value).some((found) => names.has(found)),
  };
}

/** The people whom values name, each once, in normal form. */
export function peopleIn(values: readonly PlainValue[]): string[] {
  return [...new Set(values.flatMap(({ name, value }) => namesIn(roleOf(name), value)))];
}

/** What a stored event has to lose because people in it were erased elsewhere in the ledger before it came here. */
export async function lossByErased(
  values: readonly PlainValue[],
  isErased: (name: string) => Promise<boolean>,
): Promise<string[]> {
  const erased = new Set<string>();
  for (const name of peopleIn(values)) if (await isErased(name)) erased.add(name);
  return lossOfErased(values, erased);
}

/** The same where it is known who was erased. */
export function lossOfErased(values: readonly PlainValue[], erased: ReadonlySet<string>): string[] {
  const isNamedIn: Person['isNamedIn'] = ({ name, value }) =>
    namesIn(roleOf(name), value).some((known) => erased.has(known));
  return erased.size === 0 ? [] : lossOf(values, { isNamedIn }).names;
}

/** Finds any of the names as a whole word in a JSON text. */
export function wordsOf(names: readonly string[]): RegExp {
  const alternatives = names.map((name) =>
    JSON.stringify(name)
      .slice(1, -1)
      .replace(/[^\p{L}\p{N}\s]/gu, (sign) => `\\u{${sign.codePointAt(0)!.toString(16)}}`),
  );
  return new RegExp(`(?<![\\p{L}\\p{N}_])(${alternatives.join('|')})(?![\\p{L}\\p{N}_])`, 'iu');
}

/** What an event loses: names of its private values, and whether the person asked for what it tells of. */
export interface Loss {
  names: string[];
  acted: boolean;
}

/**
 * Who acted in an event loses all of it but what names somebody else; who is only named in it loses those
 * values. The actor is the principal, or who it was for a reporter; without one the OS user; without that who cancelled.
 */
export function lossOf(values: readonly PlainValue[], person: Pick<Person, 'isNamedIn'>): Loss {
  const loss: Loss = { names: [], acted: false };
  const stored = values.filter(({ value }) => value !== 'null');
  for (const act of new Set(stored.map(({ name }) => actOf(name)))) {
    const own = stored.filter(({ name }) => actOf(name) === act);
    const actor = ['claimed_principal', 'principal', 'os_user', 'cancelled_by'].flatMap((role) =>
      own.filter(({ name }) => roleOf(name) === role),
    )[0];
    const acted = actor !== undefined && person.isNamedIn(actor);
    loss.acted ||= acted;
    const others = (value: PlainValue): boolean =>
      value !== actor && roleOf(value.name) in NAMED_BY && roleOf(value.name) !== 'os_user';
    loss.names.push(
      ...own.filter((value) => person.isNamedIn(value) || (acted && !others(value))).map(({ name }) => name),
    );
  }
  return loss;
}

/** Where a value of each role has the names of a person; the empty name is the value itself. */
const NAMED_BY: Readonly<Record<string, readonly string[]>> = {
  principal: ['subject', 'display', 'person'],
  claimed_principal: ['subject', 'display'],
  os_user: [''],
  approval: ['by'],
  cancelled_by: [''],
};

function namesIn(role: string, text: string): string[] {
  const members = NAMED_BY[role];
  if (!members || text === 'null') return [];
  const value: unknown = JSON.parse(text);
  const found = members.map((member) => (member === '' ? value : isObject(value) ? value[member] : null));
  return found.flatMap((name) => (typeof name === 'string' && name !== '' ? [normalName(name)] : []));
}

const NUMBERED = /^(\d+)\.(.+)$/;

function actOf(name: string): string {
  return NUMBERED.exec(name)?.[1] ?? '';
}

function roleOf(name: string): string {
  return NUMBERED.exec(name)?.[2] ?? name;
}

/** The digest of a log, which goes when the log does. */
export const LOG_DIGEST = 'log.sha256';

/** What one event loses. */
export interface EventLoss {
  seq: number;
  run_id: string;
  names: string[];
}

/** The calls of assistants among them: the event, and the position of the call in it. */
export function callsOf(losses: readonly EventLoss[]): { seq: number; position: number }[] {
  return losses.flatMap(({ seq, run_id, names }) =>
    run_id === ''
      ? [...new Set(names.map(actOf))].flatMap((act) => (act === '' ? [] : [{ seq, position: Number(act) }]))
      : [],
  );
}

/** Ids of the runs among them. */
export function runsOf(losses: readonly EventLoss[]): string[] {
  return [...new Set(losses.flatMap(({ run_id }) => (run_id === '' ? [] : [run_id])))];
}

/** `mirrored`: of rows that were mirrored. */
export function countLosses(losses: readonly EventLoss[], mirrored: readonly EventLoss[]): Omit<Erasure, 'logs'> {
  const all = [...losses, ...mirrored];
  return {
    values: all.reduce((sum, { names }) => sum + names.length, 0),
    mirrored_values: mirrored.reduce((sum, { names }) => sum + names.length, 0),
    events: new Set(all.map(({ seq }) => seq)).size,
    runs: runsOf(all).length,
  };
} // prettier-ignore

/** What an erasure did; `logs` null: the logs of the person's runs were left. */
export interface Erasure {
  values: number;
  /** Those of them that lay in mirrored rows. */
  mirrored_values: number;
  /** Events that lost values, of pages too. */
  events: number;
  /** Runs whose record changed. */
  runs: number;
  logs: number | null;
}

/** What the ledger says of an erasure; the person's names are in it as tombstones only. */
export function erasedFacts(erasure: Erasure, tombstones: readonly string[]): JsonObject {
  const { mirrored_values, values, ...counts } = erasure;
  const own = { ...counts, values: values - mirrored_values, tombstones: [...tombstones].sort() };
  return mirrored_values === 0 ? own : { ...own, mirrored_values };
}
