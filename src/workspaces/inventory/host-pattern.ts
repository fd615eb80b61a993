import { addressOf } from './address.ts';
import { hostsOfGroup, type Inventory } from './inventory.ts';

/** Only running Ansible tells which hosts the pattern names. */
export class UnknownPattern extends Error {}

/** Names that Ansible makes a host of where the inventory has none. */
export const LOCALHOST: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** Hosts of an inventory that patterns name, as the `hosts` of a play has them: groups, globs, `!`, `&`, `[0:2]`, `~`. */
export async function hostsMatching(inventory: Inventory, patterns: readonly string[]): Promise<string[]> {
  const matchers = await createMatchers();
  const known = new Set(inventory.hosts);
  let hosts: string[] = [];
  for (const pattern of inOrder(patterns.flatMap(splitPattern))) {
    if (known.has(pattern)) {
      hosts.push(pattern);
      continue;
    }
    const excludes = pattern.startsWith('!');
    const intersects = pattern.startsWith('&');
    const found = matchOne(inventory, excludes || intersects ? pattern.slice(1) : pattern, matchers);
    const those = new Set(found);
    if (excludes) hosts = hosts.filter((host) => !those.has(host));
    else if (intersects) hosts = hosts.filter((host) => those.has(host));
    else hosts.push(...found);
  }
  return [...new Set(hosts)];
}

/** Commas separate patterns; colons do so only where the text is no address or range. */
export function splitPattern(text: string): string[] {
  const parts = text.includes(',')
    ? text.split(',')
    : addressOf(text) !== null
      ? [text]
      : (text.match(/(?:[^\s:[\]]|\[[^\]]*\])+/g) ?? []);
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** Unions first, then intersections, then exclusions; without a union, `all` is meant. */
function inOrder(patterns: readonly string[]): string[] {
  const excludes = patterns.filter((pattern) => pattern.startsWith('!'));
  const intersections = patterns.filter((pattern) => pattern.startsWith('&'));
  const unions = patterns.filter((pattern) => !/^[!&]/.test(pattern));
  return [...(unions.length > 0 ? unions : ['all']), ...intersections, ...excludes];
}

const SUBSCRIPT = /^(.+)\[(?:(-?[0-9]+)|([0-9]+)[:-]([0-9]*))\]$/s;

function matchOne(inventory: Inventory, pattern: string, matchers: Matchers): string[] {
  if (pattern === '') throw new UnknownPattern('a pattern is empty');
  const subscript = pattern.startsWith('~') ? null : SUBSCRIPT.exec(pattern);
  const hosts = enumerate(inventory, subscript?.[1] ?? pattern, matchers);
  if (!subscript || hosts.length === 0) return hosts;
  const [, , index, first, last] = subscript;
  // An end of 0 counts as none, so that [0:0] is one host, and it must be there.
  if (index === undefined && (last === '' || Number(last) > 0)) {
    return hosts.slice(Number(first), last === '' ? undefined : Number(last) + 1);
  }
  const one = hosts.at(Number(index ?? first));
  if (one === undefined) throw new UnknownPattern(`${pattern} asks for a host that is not there`);
  return [one];
}

function enumerate(inventory: Inventory, pattern: string, matchers: Matchers): string[] {
  const matches = matchers(pattern);
  const groups = [...inventory.groups.keys()].filter(matches);
  const found = groups.flatMap((group) => hostsOfGroup(inventory, group));
  if (groups.length === 0 || /^~|[.?*[]/.test(pattern)) found.push(...inventory.hosts.filter(matches));
  return found.length === 0 && LOCALHOST.includes(pattern) ? [pattern] : found;
}

type Matchers = (pattern: string) => (name: string) => boolean;

/** RE2 tests in linear time, whatever a playbook asks for. */
async function createMatchers(): Promise<Matchers> {
  const { RE2JS } = await import('re2js');
  const compile = (pattern: string, flags: number) => {
    try {
      return RE2JS.compile(pattern, flags);
    } catch {
      throw new UnknownPattern(`${pattern.slice(0, 80)} is a regular expression that only Python reads`);
    }
  };
  return (pattern) => {
    if (pattern.startsWith('~')) {
      const compiled = compile(pattern.slice(1), 0);
      return (name) => compiled.matcher(name).lookingAt();
    }
    if (!/[*?[]/.test(pattern)) return (name) => name === pattern;
    const compiled = compile(globToExpression(pattern), RE2JS.DOTALL);
    return (name) => compiled.matcher(name).matches();
  };
}

/** `*`, `?`, `[seq]` and `[!seq]`, as Python's fnmatch has them. */
function globToExpression(glob: string): string {
  return glob.replace(/\[(!?\]?[^\]]*)\]|[\s\S]/g, (one, sequence: string | undefined) => {
    if (sequence !== undefined) return `[${sequence.replaceAll('\\', '\\\\').replace(/^!/, '^')}]`;
    if (one === '*') return '.*';
    return one === '?' ? '.' : one.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
  });
}
