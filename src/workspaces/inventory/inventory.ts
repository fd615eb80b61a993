/** A static inventory as Ansible understands it: which hosts there are, and which groups they are in. */
export interface Inventory {
  /** In the order in which they were met. */
  hosts: readonly string[];
  /** With `all` and `ungrouped`, which are always there. */
  groups: ReadonlyMap<string, Group>;
}

export interface Group {
  hosts: ReadonlySet<string>;
  children: ReadonlySet<string>;
}

/** Ansible would not take the file for an inventory either, or it is too large to be told here. */
export class NotAnInventory extends Error {}

/** More hosts than any real inventory file names; a range can ask for any number. */
const MAX_HOSTS = 20_000;

export interface InventoryBuilder {
  has(group: string): boolean;
  addGroup(name: string): void;
  addHost(host: string, group: string): void;
  /** Throws for a group that would contain itself. */
  addChild(parent: string, child: string): void;
  done(): Inventory;
}

export function buildInventory(): InventoryBuilder {
  const hosts = new Set<string>();
  const groups = new Map<string, { hosts: Set<string>; children: Set<string> }>();
  const addGroup = (name: string): void => {
    if (name === '') throw new NotAnInventory('a group has no name');
    if (!groups.has(name)) groups.set(name, { hosts: new Set(), children: new Set() });
  };
  const group = (name: string) => groups.get(name) as NonNullable<ReturnType<typeof groups.get>>;
  addGroup('all');
  addGroup('ungrouped');
  group('all').children.add('ungrouped');
  return {
    has: (name) => groups.has(name),
    addGroup,
    addHost(host, name) {
      if (host === '') throw new NotAnInventory('a host has no name');
      hosts.add(host);
      if (hosts.size > MAX_HOSTS) throw new NotAnInventory(`names more than ${MAX_HOSTS} hosts`);
      group(name).hosts.add(host);
    },
    addChild(parent, child) {
      if (parent === child || descendantsOf(groups, child).includes(parent)) {
        throw new NotAnInventory(`the group ${parent} would contain itself`);
      }
      group(parent).children.add(child);
    },
    done() {
      reconcile(groups);
      return { hosts: [...hosts], groups };
    },
  };
}

/** Groups without a parent are children of `all`; `ungrouped` keeps the hosts that no other group has. */
function reconcile(groups: Map<string, { hosts: Set<string>; children: Set<string> }>): void {
  const children = new Set([...groups.values()].flatMap((group) => [...group.children]));
  const grouped = new Set<string>();
  const all = new Set<string>();
  for (const [name, group] of groups) {
    if (name !== 'all' && !children.has(name)) groups.get('all')?.children.add(name);
    for (const host of group.hosts) {
      all.add(host);
      if (name !== 'all' && name !== 'ungrouped') grouped.add(host);
    }
  }
  const ungrouped = groups.get('ungrouped');
  for (const host of all) {
    if (grouped.has(host)) ungrouped?.hosts.delete(host);
    else ungrouped?.hosts.add(host);
  }
}

/** A group and all groups within it, level by level. */
function descendantsOf(groups: ReadonlyMap<string, Group>, name: string): string[] {
  const found = new Set([name]);
  for (const member of found) for (const child of groups.get(member)?.children ?? []) found.add(child);
  return [...found];
}

/** Hosts of a group and of the groups within it, each once. */
export function hostsOfGroup({ groups }: Inventory, name: string): string[] {
  const hosts = descendantsOf(groups, name).flatMap((member) => [...(groups.get(member)?.hosts ?? [])]);
  return [...new Set(hosts)];
}
