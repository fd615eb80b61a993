import type { Action, Block, Problem } from '../blocks/block.ts';
import type { Inventory } from './inventory/inventory.ts';
import type { Workspace } from './workspace.ts';

/** A file inside a workspace as both worlds see it: on the host, and below the container's root. */
export interface LocatedFile {
  /** Path below the workspace, `/`-separated. */
  relative: string;
  /** SHA-256 of its content. */
  digest: string;
}

/** A block's effective configuration compared with its schema.json. */
export interface ConfigCheck {
  /** The schema, below the workspace. */
  file: string;
  /** What is wrong, without the values. */
  violations: readonly string[];
  /** Why the schema cannot be used; null: it was. */
  unchecked: string | null;
}

export interface ChangelogEntry {
  version: string | null;
  date: string | null;
  type: string | null;
  message: string | null;
}

/** What the folder of a block tells people. */
export interface BlockDocuments {
  /** The beginning of README.md. */
  readme: string | null;
  /** The first entries of CHANGELOG.poly. */
  changelog: readonly ChangelogEntry[];
}

/** What an action of a block needs besides its definition, found on disk at this moment. */
export interface BlockFiles {
  /** SHA-256 over names, modes and contents of the block's folder and its `from` parents. */
  block_digest: string;
  /** Null: the image's own `/etc/ansible/hosts` is used. */
  inventory: LocatedFile | null;
  /** The inventory's hosts and groups; null where they are not known, and `hosts_unknown` says why. */
  groups: Inventory | null;
  /** Hosts that the inventory names. */
  hosts: readonly string[] | null;
  hosts_unknown: string | null;
  kubeconfig: LocatedFile | null;
  ssh_key: LocatedFile | null;
  dockerfile: LocatedFile | null;
  /** Null: the block has no schema. */
  schema: ConfigCheck | null;
  /** Files under `artifacts/secrets/`: name → path below the workspace. Names only, never contents. */
  secrets: Readonly<Record<string, string>>;
  /** Encrypted files (`*.age`) whose plain file is not there, and that were not opened either. */
  encrypted: readonly string[];
  /** True: there is a key, and it does not open them. */
  wrong_key: boolean;
  /** Contents of encrypted files by the path of their plain file: for the files of a run and for nothing else. */
  opened: Readonly<Record<string, Uint8Array>>;
}

/** One play of a playbook, as far as it decides where it runs. */
export interface Play {
  at: { file: string; line: number };
  /** Patterns as written; none where Ansible would refuse them. */
  hosts: readonly string[];
  vars: Readonly<Record<string, unknown>>;
  /** True: it has variables from elsewhere, too. */
  more_vars: boolean;
}

export interface Plays {
  plays: readonly Play[];
  /** Why they cannot be told without running them; null: they can. */
  unknown: string | null;
}

/** A Dockerfile, and what its build would see. What it means is for those who plan. */
export interface BuildFile {
  /** Path below the workspace. */
  file: string;
  text: string;
  /** Paths that stay away from the engine by this workspace's own configuration. */
  left_out: readonly string[];
  /** Digests what a build would see; content is read anew on every call. */
  context(): Promise<{ digest: string; files: number; bytes: number }>;
}

/** Where workspaces live. Reading never changes anything on disk. */
export interface WorkspaceStore {
  /**
   * Every workspace found, broken ones included, ordered by address; changes on disk show at the next call. Who
   * needs only the one of that name, address or alias says so: the blocks of others may be as they were last seen.
   */
  list(needed?: string): Promise<readonly Workspace[]>;
  /** What is wrong with the configured folders themselves: missing, unreadable. `file` is the absolute path. */
  problems(): Promise<readonly Problem[]>;
  /**
   * Looks at what one block's actions would use; content is read anew on every call. Refuses (`refused`) files
   * that resolve outside the workspace, and folders too large to digest; `broken_definition` for an unknown or
   * circular `inventory.from` or `kubeconfig.from`.
   */
  inspect(workspace: Workspace, block: Block): Promise<BlockFiles>;
  /** The plays of an action's playbook with those it imports; of a script, none. Refuses one that is a link out. */
  plays(workspace: Workspace, block: Block, action: Action): Promise<Plays>;
  /**
   * The Dockerfile of the workspace and what its build would see; null: there is none. Refuses one outside of the
   * workspace, and a context that is too large.
   */
  dockerfile(workspace: Workspace): Promise<BuildFile | null>;
  /** README and changelog of a block; what cannot be read is left out. */
  documents(workspace: Workspace, block: Block): Promise<BlockDocuments>;
  /**
   * The workspace as its actions see it: secrets.poly over workspace.poly, and encrypted files opened in memory if
   * there is a key. For executions only: whatever is asked about the result (`inspect`, `secretFiles`) knows them.
   */
  unlock(workspace: Workspace): Promise<Workspace>;
  /**
   * The same with the definitions of another folder, one that holds the workspace as it was once. `inspect` takes from
   * there what is there; secrets, and what was never kept there, are today's.
   */
  asOf(workspace: Workspace, view: string): Promise<Workspace>;
  /** What the workspace's secret files hold now, for redaction and for nothing else. */
  secretFiles(workspace: Workspace): Promise<readonly string[]>;
}
