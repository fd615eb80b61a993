import type { FileChoice, Problem } from './block.ts';

/** Where something is written; `file` is relative to the workspace. */
export interface Place {
  file: string;
  line: number | null;
}

/** One entry of `actions` as written; null and empty mean "not written here". */
export interface ActionDeclaration {
  name: string;
  at: Place;
  description: string | null;
  playbook: string | null;
  script: readonly string[];
  prompt: string | null;
  interactive: boolean | null;
  alias: readonly string[];
  labels: Readonly<Record<string, string>>;
  config: Readonly<Record<string, unknown>>;
  /** Something in the entry could not be understood. */
  problem: string | null;
}

export const TEXT_FIELDS = ['version', 'app_version', 'kind', 'type', 'flavor', 'description'] as const;
export type TextField = (typeof TEXT_FIELDS)[number];

/** A block as one file declares it: a block.poly, or an entry under `blocks` in workspace.poly or secrets.poly. */
export interface BlockDeclaration {
  name: string;
  at: Place;
  layer: 'block' | 'workspace' | 'secrets';
  /** Folder of the block.poly below the workspace; null for entries of workspace.poly. */
  dir: string | null;
  /** Only the fields that are written, so that an explicit null or "" wins over an inherited value. */
  text: Readonly<Partial<Record<TextField, string | null>>>;
  from: { reference: string; at: Place } | null;
  template: boolean | null;
  labels: Readonly<Record<string, string>>;
  alias: readonly string[] | null;
  about: Readonly<Record<string, string>>;
  /** Frozen at every depth, so that instances may share it. */
  config: Readonly<Record<string, unknown>>;
  actions: readonly ActionDeclaration[];
  inventory: FileChoice;
  kubeconfig: FileChoice;
  problems: readonly Problem[];
}
