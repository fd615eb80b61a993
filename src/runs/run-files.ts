import type { RunFile } from '../actions/launch-spec.ts';

/** The files that an open run needs on the host (snapshot, script); they hold secrets and leave with the run. */
export interface RunFiles {
  /** Absolute path of the folder, whether it exists or not. */
  folder(run_id: string): string;
  /** Where something of a run goes that has to outlive it. */
  kept(run_id: string): string;
  /** Runs of which something is kept. */
  keptOf(): Promise<string[]>;
  /** Deletes what is kept of a run. False: there is nothing, or an action made it another user's. */
  removeKept(run_id: string): Promise<boolean>;
  write(run_id: string, files: readonly RunFile[]): Promise<void>;
  /** Null: no such file. */
  read(run_id: string, name: string): Promise<string | null>;
  remove(run_id: string): Promise<void>;
}
