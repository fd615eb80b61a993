import { join } from 'node:path/posix';
import type { Action, Block } from '../blocks/block.ts';
import type { Workspace } from '../workspaces/workspace.ts';

/** The installed Polycrate CLI. */
export interface InstalledCli {
  /** Absolute path of the program. */
  path: string;
  /** First line of `polycrate version`; null where it says nothing that looks like one. */
  version: string | null;
  /** The long flags that its help names: older releases end with an error at a flag that they do not know. */
  flags: readonly string[];
}

/** Switches off the CLI's own submission of Action Runs, so that a run is recorded once. */
export const CLI_ENVIRONMENT = { POLYCRATE_API_SUBMIT_ACTION_RUNS: 'false' } as const;
const NO_SUBMISSION = '--no-api-submit-action-runs';
const RUNTIME_DIR = '--runtime-dir';

/**
 * Where the CLI keeps its snapshot and script, in a folder named by its transaction. It never deletes them, and the
 * snapshot has secrets in clear text, so that they are better kept with the run's own files, which leave with it.
 */
export function cliRuntimeFolder(runFolder: string): string {
  return join(runFolder, 'cli');
}

interface CliCall {
  workspace: Pick<Workspace, 'path'>;
  block: Pick<Block, 'name'>;
  action: Pick<Action, 'name' | 'prompt'>;
  runFolder: string;
}

/**
 * `polycrate run` as an argument array (polycrate-cli facts 1.5, 4 and 5.5). Names come after `--`, so that none is
 * read as a flag. `--force` answers the action's own prompt, to which a human said yes before; without a prompt it
 * is left out, because it would also answer what nobody was asked, such as replacing blocks.
 */
export function cliCommand(
  cli: InstalledCli | null,
  { workspace, block, action, runFolder }: CliCall,
): string[] {
  const knows = (flag: string): boolean => cli?.flags.includes(flag) ?? false;
  return [
    cli?.path ?? 'polycrate',
    'run',
    `--workspace=${workspace.path}`,
    ...(knows(RUNTIME_DIR) ? [`${RUNTIME_DIR}=${cliRuntimeFolder(runFolder)}`] : []),
    ...(knows(NO_SUBMISSION) ? [NO_SUBMISSION] : []),
    ...(action.prompt === null ? [] : ['--force']),
    '--',
    block.name,
    action.name,
  ];
}
