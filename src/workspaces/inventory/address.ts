import { NotAnInventory } from './inventory.ts';

const MAX_RANGE = 20_000;

const RANGE = String.raw`\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]`;
const LABEL = String.raw`(?:[\p{L}\p{N}_]|${RANGE})(?:[\p{L}\p{N}_-]|${RANGE})*(?<![_-])`;
const HOST_NAME = new RegExp(String.raw`^${LABEL}(?:\.${LABEL})*$`, 'iu');
const HEX = String.raw`(?:[0-9a-f]{1,4}|\[[0-9a-f]+:[0-9a-f]+(?::[0-9]+)?\])`;
/** The forms that matter: all that have a double colon, or eight parts. */
const IPV6 = new RegExp(`^(?:(?:${HEX}:){7}${HEX}|(?:${HEX}:){0,7}:(?:${HEX}(?::${HEX}){0,6})?)$`, 'i');
const BRACKETED = /^\[(.+)\]:[0-9]+$/;
const WITH_PORT = /^((?:[^:[\]]|\[[^\]]*\])*):[0-9]+$/;
/** Longer names are no host names, and would only make the patterns above slow. */
const MAX_LENGTH = 1000;

/** The host of `host`, `host:port` and `[address]:port`, ranges included; null: Ansible sees no address in it. */
export function addressOf(text: string): string | null {
  if (text.length > MAX_LENGTH) return null;
  const host = BRACKETED.exec(text)?.[1] ?? WITH_PORT.exec(text)?.[1] ?? text;
  return HOST_NAME.test(host) || IPV6.test(host) ? host : null;
}

/** Names that an entry of an inventory stands for: `web[01:03].example:22` names three hosts. */
export function hostsOfEntry(entry: string): string[] {
  const host = addressOf(entry) ?? entry;
  return host.includes('[') ? expand(host) : [host];
}

/** Every range of a name written out, the first one outermost. */
export function expand(name: string): string[] {
  let names = [name];
  while (names[0]?.includes('[')) {
    names = names.flatMap(expandFirst);
    if (names.length > MAX_RANGE) throw new NotAnInventory(`a range stands for more than ${MAX_RANGE} hosts`);
  }
  return names;
}

function expandFirst(name: string): string[] {
  const parts = /^([^[]*)\[([^\]]*)\](.*)$/su.exec(name);
  const bounds = parts?.[2]?.split(':') ?? [];
  const [first = '', last = '', step = '1'] = bounds;
  if (!parts || bounds.length < 2 || bounds.length > 3) throw badRange(name);
  const [, head, , tail] = parts;
  return valuesOf({ first: first === '' ? '0' : first, last, step, name }).map(
    (value) => `${head}${value}${tail}`,
  );
}

interface Range {
  first: string;
  last: string;
  step: string;
  name: string;
}

function valuesOf({ first, last, step, name }: Range): string[] {
  const width = first.startsWith('0') && first.length > 1 ? first.length : 0;
  const by = Number(step);
  if (!/^[0-9]+$/.test(step) || by === 0 || (width > 0 && width !== last.length)) throw badRange(name);
  const letters = /^[a-zA-Z]$/.test(first) && /^[a-zA-Z]$/.test(last);
  if (!letters && !(/^[0-9]{1,9}$/.test(first) && /^[0-9]{1,9}$/.test(last))) throw badRange(name);
  const [from, to] = letters
    ? [LETTERS.indexOf(first), LETTERS.indexOf(last)]
    : [Number(first), Number(last)];
  if (letters && from > to) throw badRange(name);
  const count = Math.max(0, Math.floor((to - from) / by) + 1);
  if (count > MAX_RANGE) throw new NotAnInventory(`a range stands for more than ${MAX_RANGE} hosts`);
  const values = Array.from({ length: count }, (_, index) => from + index * by);
  return values.map((value) => (letters ? LETTERS.charAt(value) : String(value).padStart(width, '0')));
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function badRange(name: string): NotAnInventory {
  return new NotAnInventory(`${name.slice(0, 80)} has a range that is not [first:last] or [first:last:step]`);
}
