import type { Dirent } from 'node:fs';
import { codeOf } from '../../shared/errors.ts';
import type { Problem } from '../../blocks/block.ts';
import type { Scan } from './scan.ts';

export const BLOCK_FILE = 'block.poly';
const MAX_DEPTH = 32;
const MAX_BLOCKS = 5000;
const MAX_FOLDERS = 20_000;

export interface BlockFiles {
  /** Folders below the workspace that hold a block.poly, in the CLI's walk order. */
  dirs: string[];
  problems: Problem[];
}

/**
 * Finds every block.poly below `start`, at any depth, hidden folders included, links not followed, `.git` left
 * out. Level by level, so that limits always cut off the same blocks.
 */
export async function findBlockFiles(
  { workspace, start }: { workspace: string; start: string },
  scan: Scan,
): Promise<BlockFiles> {
  const found: BlockFiles = { dirs: [], problems: [] };
  let level = [start];
  let folders = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    folders += level.length;
    const reason = excess(depth, folders, found.dirs.length);
    if (reason !== null) {
      found.problems.push({
        severity: 'error',
        file: start,
        line: null,
        message: `${reason}; the rest is not read`,
      });
      break;
    }
    const listings = await Promise.all(
      level.map((dir) =>
        scan.limit(() => list(`${workspace}/${dir}`, { dir, problems: found.problems, scan })),
      ),
    );
    level = level.flatMap((dir, index) => visit(dir, listings[index] ?? [], found));
  }
  if (found.dirs.length > MAX_BLOCKS) found.dirs.length = MAX_BLOCKS;
  found.dirs.sort(inWalkOrder);
  return found;
}

function excess(depth: number, folders: number, blocks: number): string | null {
  if (depth > MAX_DEPTH) return `folders are nested deeper than ${MAX_DEPTH} levels`;
  if (folders > MAX_FOLDERS) return `there are more than ${MAX_FOLDERS} folders`;
  return blocks > MAX_BLOCKS ? `there are more than ${MAX_BLOCKS} blocks` : null;
}

function visit(dir: string, entries: readonly Dirent[], found: BlockFiles): string[] {
  const folders: string[] = [];
  for (const entry of entries) {
    if (entry.name === BLOCK_FILE) noteBlock(dir, entry, found);
    else if (entry.isDirectory() && entry.name !== '.git') folders.push(`${dir}/${entry.name}`);
  }
  return folders;
}

function noteBlock(dir: string, entry: Dirent, found: BlockFiles): void {
  if (entry.isFile()) {
    found.dirs.push(dir);
    return;
  }
  const what = entry.isSymbolicLink()
    ? 'is a symbolic link, and links are not followed'
    : 'is not a regular file';
  found.problems.push({ severity: 'error', file: `${dir}/${BLOCK_FILE}`, line: null, message: what });
}

interface Listing {
  /** As problems name it. */
  dir: string;
  problems: Problem[];
  scan: Scan;
}

async function list(path: string, { dir, problems, scan }: Listing): Promise<Dirent[]> {
  scan.witnesses.note(path);
  try {
    const entries = await scan.entries(path);
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const code = codeOf(error);
    // A folder that is not there holds no blocks; that includes the blocks folder itself.
    if (code !== 'ENOENT') {
      scan.witnesses.doubt();
      problems.push({
        severity: 'error',
        file: dir,
        line: null,
        message: `cannot be read (${code ?? 'error'})`,
      });
    }
    return [];
  }
}

/** Folder by folder, names compared as in the CLI's walk: `a/b` comes before `a-b`. */
function inWalkOrder(a: string, b: string): number {
  const left = a.split('/');
  const right = b.split('/');
  for (const [index, name] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (name !== other) return name < other ? -1 : 1;
  }
  return left.length - right.length;
}
