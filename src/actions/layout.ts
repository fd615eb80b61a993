import { join } from 'node:path/posix';
import type { Block } from '../blocks/block.ts';

/** Where an execution finds things: container paths, or host paths without a container. */
export interface Layout {
  /** The workspace's root. */
  root: string;
  /** Where blocks, inventory and kubeconfig are: the root, or a copy of them in a folder of the run's own. */
  pinned: string;
  /** Folder of the run's own files. */
  run: string;
  snapshot: string;
  script: string;
}

/** Outside the workspace: a mount nested in it would leave an empty folder in the user's tree. */
const CONTAINER_RUN_FOLDER = '/polycrate-mcp';

export function containerLayout(containerroot: string): Layout {
  return layout(containerroot, CONTAINER_RUN_FOLDER);
}

export function hostLayout(workspacePath: string, runFolder: string, pinned = workspacePath): Layout {
  return layout(workspacePath, runFolder, pinned);
}

/** Where the command of an action of that block runs. */
export function workdirOf({ dir }: Pick<Block, 'dir'>, { root, pinned }: Layout): string {
  return dir === null ? root : join(pinned, dir);
}

function layout(root: string, run: string, pinned = root): Layout {
  return { root, pinned, run, snapshot: join(run, 'snapshot.yml'), script: join(run, 'script.sh') };
}
