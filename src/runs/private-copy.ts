import { join } from 'node:path/posix';
import type { Mount } from '../actions/launch-spec.ts';
import type { Plan } from '../actions/plan.ts';
import type { RunFiles } from './run-files.ts';

/**
 * What somebody agreed to, by its digests: a run that a human approved, or that was asked for by the digest of its
 * plan, executes a copy of it, so that nothing that changes afterwards is executed.
 */
export interface PrivateCopy {
  /** The workspace's root on the host. */
  workspace: string;
  /** Another folder, where blocks and whatever else is there are taken from; null: everything is the workspace's. */
  from: string | null;
  /** The block's folder and those of its `from` parents, below the root. */
  dirs: readonly string[];
  /** Of all of them together. */
  digest: string;
  /** Inventory and kubeconfig. */
  files: readonly { relative: string; digest: string }[];
  /** True: a process on this host gets the copy as a workspace of its own, where all else leads to the real one. */
  mirror: boolean;
  how: CopyHow;
}

/**
 * `writable`: what the action changes in it is brought back into the workspace when it ended. `read-only`: it can
 * change nothing in it. `checked`: there is none; the workspace's own files are executed, looked at right before.
 */
export type CopyHow = 'writable' | 'read-only' | 'checked';

export interface PrivateCopies {
  /**
   * Copies into that folder, all or nothing; one that is there is kept; `checked` only looks. `plan_changed`: the
   * digests do not fit.
   */
  make(into: string, copy: PrivateCopy): Promise<void>;
  /**
   * Brings what an action changed in its copy back into the workspace, file by file, where the workspace still has
   * what was copied; else beside it. Called again it answers the same. What it could not do it tells; it throws if it cannot even keep it.
   */
  bringBack(copy: EndedCopy): Promise<BroughtBack>;
}

export interface EndedCopy {
  /** What `make` was given; nothing is there where a run had no copy. */
  folder: string;
  /** Makes names of files beside others unique. */
  run_id: string;
  /** Where the copy goes if something in it could not be brought back. */
  kept: string;
}

export interface BroughtBack {
  /** Files, links and folders that are in the workspace now as the action left them. */
  carried: number;
  /** Names of what was put beside files that somebody else changed meanwhile. */
  beside: readonly string[];
  /** The action deleted these, and somebody else changed them meanwhile: they are still there. */
  undeleted: readonly string[];
  /** Each with its reason. */
  failed: readonly string[];
}

const NAMED = 3;

/** What whoever reads the record has to know of it; null: all is where the action put it. */
export function sayBroughtBack({ beside, undeleted, failed }: BroughtBack, run_id: string): string | null {
  const few = (names: readonly string[]): string =>
    names.slice(0, NAMED).join(', ') + (names.length > NAMED ? ` and ${names.length - NAMED} more` : '');
  const said = [
    beside.length > 0 &&
      `files that the action wrote had been changed in the workspace meanwhile, so its own are beside them: ${few(beside)}`,
    undeleted.length > 0 &&
      `deleted by the action, but changed in the workspace meanwhile, so still there: ${few(undeleted)}`,
    failed.length > 0 &&
      `not brought back into the workspace, but kept in kept/${run_id} of the data folder: ${few(failed)}`,
  ];
  return said.filter((text) => text !== false).join('; ') || null;
}

/** Lies with the run's own files and leaves with them, also after a crash. */
export function copyFolder(files: Pick<RunFiles, 'folder'>, run_id: string): string {
  return join(files.folder(run_id), 'copy');
}

export function copyOf({ workspace, block, files, executor, pins, view }: Plan, how: CopyHow): PrivateCopy {
  const used = [files.inventory, files.kubeconfig].filter((file) => file !== null);
  return {
    workspace: workspace.path,
    from: view,
    dirs: block.dirs,
    digest: pins.block ?? '',
    // What was opened in memory is written from memory.
    files: used.filter(({ relative }) => !Object.hasOwn(files.opened, relative)),
    mirror: executor !== 'docker',
    // What somebody lends is gone when the call ends.
    how: view !== null && how === 'checked' ? 'writable' : how,
  };
}

/** In a container the copy lies over the workspace; what an action writes elsewhere goes to the real workspace. */
export function copyMounts({ dirs, files, how }: PrivateCopy, from: string, root: string): Mount[] {
  if (how === 'checked') return [];
  const tops = outermost(dirs);
  const single = files
    .map(({ relative }) => relative)
    .filter((file) => !tops.some((dir) => file.startsWith(`${dir}/`)));
  return [...tops, ...new Set(single)].map((path) => ({
    host: join(from, path),
    container: join(root, path),
    readonly: how === 'read-only',
  }));
}

/** Without folders that lie in another one of them. */
export function outermost(dirs: readonly string[]): string[] {
  return [...new Set(dirs)].filter((dir) => !dirs.some((other) => dir.startsWith(`${other}/`)));
}
