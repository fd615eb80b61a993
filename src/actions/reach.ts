import type { Action } from '../blocks/block.ts';
import {
  hostsMatching,
  LOCALHOST,
  splitPattern,
  UnknownPattern,
} from '../workspaces/inventory/host-pattern.ts';
import type { BlockFiles, Play, Plays } from '../workspaces/workspace-store.ts';
import { renderSimply, UNKNOWN } from './template.ts';

/** The hosts that an action would work on. */
export interface Reach {
  /** Null: only running it tells. */
  hosts: readonly string[] | null;
  /** Why there are none, or what they rest on; null: they are what the plays name. */
  note: string | null;
}

/** Hosts that the plays of an action name in the inventory it would get. Nothing is run to find out. */
export async function reachOf(
  action: Pick<Action, 'kind'>,
  files: Pick<BlockFiles, 'inventory' | 'groups' | 'hosts' | 'hosts_unknown'>,
  { plays, snapshot }: { plays: Plays; snapshot: Readonly<Record<string, unknown>> },
): Promise<Reach> {
  if (action.kind === 'script') {
    const note =
      files.hosts === null
        ? files.hosts_unknown
        : 'a script decides itself; these are the hosts of its inventory';
    return { hosts: files.hosts, note };
  }
  if (plays.unknown !== null) return { hosts: null, note: plays.unknown };
  const patterns: string[][] = [];
  for (const play of plays.plays) {
    const rendered = patternsOf(play, snapshot);
    if (typeof rendered === 'string') return { hosts: null, note: rendered };
    patterns.push(rendered);
  }
  return hostsNamed(patterns, files);
}

/** Patterns of one play, or why they are not known. */
function patternsOf(
  { hosts, at, vars, more_vars }: Play,
  extra: Readonly<Record<string, unknown>>,
): string[] | string {
  const where = `${at.file}:${at.line}`;
  if (hosts.length === 0) return `${where}: the play names no hosts, which Ansible refuses`;
  const patterns: string[] = [];
  for (const text of hosts) {
    const rendered = renderSimply(text, { extra, vars, open: more_vars });
    if (rendered === UNKNOWN) return `${where}: hosts ${text} is known only when it runs`;
    patterns.push(...rendered);
  }
  return patterns;
}

async function hostsNamed(
  patterns: readonly string[][],
  { inventory, groups, hosts_unknown }: Pick<BlockFiles, 'inventory' | 'groups' | 'hosts_unknown'>,
): Promise<Reach> {
  const flat = patterns.flat().flatMap(splitPattern);
  if (groups === null) {
    // Needs no inventory, whichever it is.
    if (flat.every((pattern) => LOCALHOST.includes(pattern)))
      return { hosts: [...new Set(flat)], note: null };
    const what =
      inventory === null ? 'no inventory in the workspace: the one of the image decides' : hosts_unknown;
    return { hosts: null, note: what };
  }
  try {
    const found = await Promise.all(patterns.map((some) => hostsMatching(groups, some)));
    const hosts = [...new Set(found.flat())];
    return { hosts, note: hosts.length === 0 ? 'no host of the inventory matches' : null };
  } catch (error) {
    if (error instanceof UnknownPattern) return { hosts: null, note: error.message };
    throw error;
  }
}
