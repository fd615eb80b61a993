import type { Block, Problem } from '../blocks/block.ts';
import type { Workspace } from './workspace.ts';

/** A file inside a workspace as both worlds see it: on the host, and below the container's root. */
export interface LocatedFile {
  /** Path below the workspace, `/`-separated. */
  relative: string;
  /** SHA-256 of its content. */
  digest: string;
}

/** What an action of a block needs besides its definition, found on disk at this moment. */
export interface BlockFiles {
  /** SHA-256 over names, modes and contents of the block's folder and its `from` parents. */
  block_digest: string;
  /** Null: the image's own `/etc/ansible/hosts` is used. */
  inventory: LocatedFile | null;
  /** Hosts that the inventory names, at most 200, null where it cannot be read without running it. */
  hosts: readonly string[] | null;
  kubeconfig: LocatedFile | null;
  ssh_key: LocatedFile | null;
  dockerfile: LocatedFile | null;
  /** Files under `artifacts/secrets/`: name → path below the workspace. Names only, never contents. */
  secrets: Readonly<Record<string, string>>;
  /** Encrypted files (`*.age`) whose plain file is not there. */
  encrypted: readonly string[];
}

/** Where workspaces live. Reading never changes anything on disk. */
export interface WorkspaceStore {
  /** Every workspace found, broken ones included, ordered by address; changes on disk show at the next call. */
  list(): Promise<readonly Workspace[]>;
  /** What is wrong with the configured folders themselves: missing, unreadable. `file` is the absolute path. */
  problems(): Promise<readonly Problem[]>;
  /**
   * Looks at what one block's actions would use; content is read anew on every call. Refuses (`refused`) files
   * that resolve outside the workspace, and folders too large to digest; `broken_definition` for an unknown or
   * circular `inventory.from` or `kubeconfig.from`.
   */
  inspect(workspace: Workspace, block: Block): Promise<BlockFiles>;
  /** Contents of the workspace's secret files as they are now, for redaction and for nothing else. */
  secretFiles(workspace: Workspace): Promise<readonly string[]>;
}
