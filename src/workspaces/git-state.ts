/** Where a workspace's repository stands. */
export interface GitHead {
  /** Null: nothing was committed yet. */
  commit: string | null;
  /** Null: no branch is checked out. */
  branch: string | null;
}

export interface GitState extends GitHead {
  /** Files below the workspace differ from the commit, untracked ones included; null: git could not tell in time. */
  dirty: boolean | null;
}

/** Repositories are foreign: whatever their configuration names is never executed, and nothing in them is written. */
export interface Git {
  /** Null: the folder is in no repository, or there is no git on this machine. Cheap while nothing moves. */
  head(folder: string): Promise<GitHead | null>;
  state(folder: string): Promise<GitState | null>;
  /** Lends a folder with what the commit has below that one, and nothing else. Null: the commit is not there any more. */
  checkedOut<T>(folder: string, commit: string, use: (view: string) => Promise<T>): Promise<T | null>;
}
