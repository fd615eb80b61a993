import type { Workspace } from '../workspaces/workspace.ts';

/** A folder with events of one day, and its files, sorted. */
export interface CliLogFolder {
  /** Relative to the workspace. */
  name: string;
  files: readonly string[];
  /** Changes whenever a file of it does. */
  state: string;
}

export interface CliLog {
  /** As the file has it; of its snapshot only the members of the block, the rest is dropped where it is read. */
  event: unknown;
  /** Secrets of the whole snapshot, which its output must not show. */
  secrets: readonly string[];
}

/** The events that the CLI leaves in a workspace. Nothing is ever written there. */
export interface CliLogs {
  folders(workspace: Workspace): Promise<CliLogFolder[]>;
  /**
   * One event; `broken`: what is wrong with the file. Rejects if nothing can be read at the moment, whatever the file.
   */
  read(workspace: Workspace, file: string): Promise<CliLog | { broken: string }>;
}
