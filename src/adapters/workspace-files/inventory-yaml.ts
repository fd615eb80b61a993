import { hostsOfEntry } from '../../workspaces/inventory/address.ts';
import {
  buildInventory,
  type Inventory,
  type InventoryBuilder,
  NotAnInventory,
} from '../../workspaces/inventory/inventory.ts';
import { kindOf, type MapNode, type Node } from './yaml-nodes.ts';

/** Groups of a YAML inventory; what Ansible skips with a warning is skipped, what it refuses throws. */
export function yamlInventory(root: MapNode): Inventory {
  const into = buildInventory();
  for (const [name, { node }] of root.entries) addGroup(name, node, into);
  return into.done();
}

function addGroup(name: string, node: Node, into: InventoryBuilder): void {
  if (node.kind !== 'map') {
    if (isNothing(node)) into.addGroup(name);
    return;
  }
  into.addGroup(name);
  for (const key of ['vars', 'children', 'hosts']) checkSection(name, key, node.entries.get(key)?.node);
  for (const [key, { node: section }] of node.entries) {
    if (key === 'children') {
      for (const [child, content] of entriesOf(section)) {
        addGroup(child, content, into);
        if (!into.has(child)) throw new NotAnInventory(`${child} in ${name}: children is not a group`);
        into.addChild(name, child);
      }
    } else if (key === 'hosts') {
      for (const [entry] of entriesOf(section))
        for (const host of hostsOfEntry(entry)) into.addHost(host, name);
    }
  }
}

function checkSection(group: string, key: string, node: Node | undefined): void {
  if (!node || node.kind === 'map' || isNothing(node) || isText(node)) return;
  throw new NotAnInventory(
    `line ${node.line}: ${key} of the group ${group}: expected a mapping, found ${kindOf(node)}`,
  );
}

/** A single text stands for a mapping with that key alone. */
function entriesOf(section: Node): [string, Node][] {
  if (section.kind === 'map') return [...section.entries].map(([key, { node }]) => [key, node]);
  return section.kind === 'scalar' && isText(section) ? [[section.text, { ...section, value: null }]] : [];
}

function isNothing(node: Node): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function isText(node: Node): boolean {
  return node.kind === 'scalar' && typeof node.value === 'string';
}
