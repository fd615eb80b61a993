import { realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { staysBelow } from '../../blocks/actions.ts';
import { AppError, codeOf } from '../../shared/errors.ts';

/**
 * The real path of something below the workspace, or null if it is not there. Throws `refused` for a path that
 * leaves the workspace, as written or through a link. `root` is the workspace's own real path.
 */
export async function containedPath(root: string, relative: string): Promise<string | null> {
  checkRelative(relative);
  let real: string;
  try {
    real = await realpath(join(root, relative));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return null;
    throw outside(relative, `cannot be resolved (${codeOf(error) ?? 'error'})`);
  }
  if (real !== root && !real.startsWith(root.endsWith(sep) ? root : root + sep)) {
    throw outside(relative, 'is a link that leads out of the workspace');
  }
  return real;
}

/** Refuses a path that leaves its folder as written; do this before the path is joined to anything. */
export function checkRelative(path: string): string {
  if (!staysBelow(path)) throw outside(path, 'is not a path inside the workspace');
  return path;
}

function outside(relative: string, what: string): AppError {
  return new AppError('refused', `"${relative}" ${what}; files outside a workspace are not used.`, {
    next: 'Copy the file into the workspace.',
  });
}
