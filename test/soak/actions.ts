import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scripts } from '../support/script-workspace.ts';

/** The run's id as the action itself finds it: a variable on this host, the source of a mount in a container. */
const WHO = `id=\${POLYCRATE_MCP_RUN_ID:-$(grep -om1 'run/[0-9a-f-]\\{36\\}' /proc/self/mountinfo | cut -c5-)}`;

/** Appends of one short line do not mix, whoever else writes. */
const WITNESS = `${WHO}
tell() { echo "$1 $id $2" >> "$POLYCRATE_WORKSPACE/witness"; }
trap 'tell end $?' EXIT
trap 'exit 5' TERM
tell start 0`;

export const CHATTY_LINES = 2000;

/** Each ends in a way of its own, some before, some while, some after something is killed. */
const ACTIONS = {
  quick: 'echo done',
  fails: 'echo failed >&2; exit 3',
  works: 'for i in 1 2 3 4 5 6 7 8; do echo "step $i"; sleep 0.05; done; exit 7',
  lasts: 'for ((i = 0; i < 30; i++)); do sleep 0.05; done; exit 6',
  chatty: `for ((i = 1; i <= ${CHATTY_LINES}; i++)); do echo "line $i"; done; exit 4`,
};

export type ActionName = keyof typeof ACTIONS;
export const ACTION_NAMES = Object.keys(ACTIONS) as ActionName[];
export const BLOCKS = ['one', 'two', 'three'];

export function soakScripts(): Scripts {
  const actions = Object.fromEntries(
    Object.entries(ACTIONS).map(([name, script]) => [name, `${WITNESS}\n${script}`]),
  );
  return Object.fromEntries(BLOCKS.map((block) => [block, actions]));
}

/** What the executions of one run wrote down themselves. */
export interface Witness {
  starts: number;
  /** Exit codes. */
  ends: number[];
}

export function witnesses(workspace: string): Map<string, Witness> {
  const all = new Map<string, Witness>();
  for (const line of textOf(join(workspace, 'witness')).split('\n').filter(Boolean)) {
    const [what, id, code] = line.split(' ') as ['start' | 'end', string, string];
    const witness = all.get(id) ?? { starts: 0, ends: [] };
    if (what === 'start') witness.starts += 1;
    else witness.ends.push(Number(code));
    all.set(id, witness);
  }
  return all;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
