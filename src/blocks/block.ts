/**
 * Something wrong in a definition; it never hides the other blocks. Line counts from 1; null if unknown.
 * `difference`: nothing is wrong, but the Polycrate CLI of 2025 would do something else with it.
 */
export interface Problem {
  severity: 'error' | 'warning' | 'difference';
  file: string;
  line: number | null;
  message: string;
}

/** One thing that a block can do (polycrate-cli facts 2.3). */
export interface Action {
  name: string;
  description: string | null;
  kind: 'playbook' | 'script';
  /** Path below the block's directory; null for scripts. */
  playbook: string | null;
  /** Lines that run in order in one shell; empty for playbooks. */
  script: readonly string[];
  /** Text that a human must confirm before the action runs. */
  prompt: string | null;
  interactive: boolean;
  alias: readonly string[];
  labels: Readonly<Record<string, string>>;
  /** Handed to playbooks as it is. */
  config: Readonly<Record<string, unknown>>;
  /** Set when the definition cannot be run: both or neither of script and playbook, a bad name … */
  problem: string | null;
}

/** Where a block's inventory or kubeconfig comes from, as declared (polycrate-cli facts 4.9). */
export interface FileChoice {
  from: string | null;
  filename: string | null;
}

/** The effective block: its own declaration over workspace.poly over its `from` chain. */
export interface Block {
  name: string;
  version: string | null;
  app_version: string | null;
  kind: string | null;
  type: string | null;
  flavor: string | null;
  description: string | null;
  /** What newer files tell about the software: `display_name`, `license`, `documentation_url` … */
  about: Readonly<Record<string, string>>;
  /** The reference as written: `name` or `name:version`. */
  from: string | null;
  template: boolean;
  labels: Readonly<Record<string, string>>;
  alias: readonly string[];
  /** Effective configuration, secrets included: mask before it leaves the process. */
  config: Readonly<Record<string, unknown>>;
  actions: readonly Action[];
  /** Directory below the workspace whose files an action of this block uses; null for dynamic blocks. */
  dir: string | null;
  /** Directories of the block and of its `from` parents, nearest first: what a content digest covers. */
  dirs: readonly string[];
  inventory: FileChoice;
  kubeconfig: FileChoice;
  /** For each value: the file and, for inherited ones, the block that it comes from. A map from one place is one entry. */
  origin: Readonly<Record<string, string>>;
  /** Where the block is declared: `blocks/x/block.poly` or `workspace.poly`. */
  declared_in: string;
  problems: readonly Problem[];
  /** Where the CLI of 2025 would do something else with what is written. */
  differences: readonly Problem[];
}

/** `blocker` is set when no action of the block can run, and says why. */
export function blockerOf(block: Block): string | null {
  if (block.template) return `block ${block.name} is a template; run an action of a block made from it`;
  const error = block.problems.find((problem) => problem.severity === 'error');
  return error ? `${error.file}${error.line === null ? '' : `:${error.line}`}: ${error.message}` : null;
}
