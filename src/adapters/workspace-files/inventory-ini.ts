import { hostsOfEntry } from '../../workspaces/inventory/address.ts';
import {
  buildInventory,
  type Inventory,
  type InventoryBuilder,
  NotAnInventory,
} from '../../workspaces/inventory/inventory.ts';

const SECTION = /^\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?$/;
const GROUP_NAME = /^([^:\]\s]+)\s*(?:#.*)?$/;

interface Reader {
  into: InventoryBuilder;
  /** Children that no section has named yet, with their parents. */
  waiting: Map<string, string[]>;
  /** Groups that only have variables so far. */
  onlyVars: Set<string>;
  group: string;
  section: string;
}

/**
 * Ansible's own dialect, which no INI library reads: `[group]`, `[group:children]`, `[group:vars]`, ranges,
 * `host:port`, variables behind a host.
 */
export function iniInventory(text: string): Inventory {
  const into = buildInventory();
  const reader: Reader = {
    into,
    waiting: new Map(),
    onlyVars: new Set(),
    group: 'ungrouped',
    section: 'hosts',
  };
  text.split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/u).forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) return;
    try {
      readLine(line, reader);
    } catch (error) {
      if (!(error instanceof NotAnInventory)) throw error;
      throw new NotAnInventory(`cannot be read: line ${index + 1}: ${error.message}`);
    }
  });
  for (const group of reader.onlyVars) throw new NotAnInventory(`[${group}:vars] is of no group`);
  for (const [child, [parent]] of reader.waiting) {
    throw new NotAnInventory(`[${parent}:children] names ${child}, which is no group`);
  }
  return into.done();
}

function readLine(line: string, reader: Reader): void {
  const header = SECTION.exec(line);
  if (header) return openSection(header[1] as string, header[2] ?? 'hosts', reader);
  if (line.startsWith('[') && line.endsWith(']'))
    throw new NotAnInventory('is no section that Ansible knows');
  if (reader.section === 'hosts') addHosts(line, reader);
  else if (reader.section === 'children') addChild(line, reader);
  else if (!line.includes('=')) throw new NotAnInventory('expected name=value');
}

function openSection(group: string, section: string, reader: Reader): void {
  if (!['hosts', 'children', 'vars'].includes(section)) {
    throw new NotAnInventory(`[${group}:${section}]: only hosts, children and vars are known`);
  }
  const { into, waiting, onlyVars } = reader;
  reader.group = group;
  reader.section = section;
  if (!into.has(group) && section === 'vars' && !waiting.has(group)) onlyVars.add(group);
  into.addGroup(group);
  if (section === 'vars') return;
  onlyVars.delete(group);
  settle(group, reader);
}

/** What a section announced as its child is there now. */
function settle(group: string, { into, waiting }: Reader): void {
  const parents = waiting.get(group) ?? [];
  waiting.delete(group);
  for (const parent of parents) into.addChild(parent, group);
}

function addChild(line: string, { into, waiting, group }: Reader): void {
  const child = GROUP_NAME.exec(line)?.[1];
  if (child === undefined) throw new NotAnInventory('expected the name of a group');
  if (into.has(child)) into.addChild(group, child);
  else waiting.set(child, [...(waiting.get(child) ?? []), group]);
}

function addHosts(line: string, { into, group }: Reader): void {
  const [entry, ...variables] = words(line);
  if (entry === undefined) return;
  if (variables.some((word) => !word.includes('='))) {
    throw new NotAnInventory('behind a host, only name=value is allowed');
  }
  if (entry.endsWith(':') || entry === '---') throw new NotAnInventory('looks like YAML');
  for (const host of hostsOfEntry(entry)) into.addHost(host, group);
}

const WORD = /(?:[^\s#'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/gy;

/** Words as a shell splits them; `#` starts a comment anywhere outside quotes. */
function words(line: string): string[] {
  const found: string[] = [];
  let at = 0;
  while (at < line.length && line[at] !== '#') {
    WORD.lastIndex = at;
    const word = WORD.exec(line);
    if (word) {
      found.push(
        word[0].replace(/\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/g, (_, one, single, double) =>
          String(one ?? single ?? double),
        ),
      );
      at = WORD.lastIndex;
    } else if (/\s/.test(line.charAt(at))) at += 1;
    else throw new NotAnInventory('a quotation mark is not closed');
  }
  return found;
}
