import { join } from 'node:path/posix';

/** Where an execution finds things: container paths, or host paths without a container. */
export interface Layout {
  /** The workspace's root. */
  root: string;
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

export function hostLayout(workspacePath: string, runFolder: string): Layout {
  return layout(workspacePath, runFolder);
}

function layout(root: string, run: string): Layout {
  return { root, run, snapshot: join(run, 'snapshot.yml'), script: join(run, 'script.sh') };
}
