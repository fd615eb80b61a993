import { mkdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BroughtBack, EndedCopy } from '../../runs/private-copy.ts';
import { AppError, codeOf, messageOf } from '../../shared/errors.ts';
import { isSame, namesBelow, readManifest, thingAt, writeWhole, type Manifest } from './copy-tree.ts';
import type { Moved, Thing } from './copy-tree.ts';
import { makeFolder, putThing, safeParent } from './put-back.ts';

interface Work extends EndedCopy {
  manifest: Manifest;
  moved: Moved;
  carried: number;
  beside: string[];
  undeleted: string[];
  failed: string[];
}

const NOTHING: BroughtBack = { carried: 0, beside: [], undeleted: [], failed: [] };

/** Any step may be repeated after a crash: what is there already as the action left it counts as done. */
export async function bringBack(copy: EndedCopy): Promise<BroughtBack> {
  const report = `${copy.folder}.brought.json`;
  const told = await readFile(report, 'utf8').catch(() => null);
  if (told !== null) return JSON.parse(told) as BroughtBack;
  const manifest = await readManifest(copy.folder);
  if (manifest === null) return NOTHING;
  const moved = { from: copy.folder, to: manifest.workspace };
  const work: Work = { ...copy, manifest, moved, carried: 0, beside: [], undeleted: [], failed: [] };
  try {
    const names = await namesBelow(copy.folder);
    await takeAway(work, new Set(names));
    for (const name of names) await attempt(work, name, () => carry(work, name));
  } catch (error) {
    work.failed.push(`everything (${reasonOf(error)})`);
  }
  const { carried, beside, undeleted, failed } = work;
  const brought = { carried, beside, undeleted, failed };
  if (failed.length > 0) await keep(copy);
  // Without it a repetition looks again, and finds the same but for what was kept.
  await writeWhole(report, brought).catch(() => undefined);
  return brought;
}

async function attempt(work: Work, name: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    work.failed.push(`${name} (${reasonOf(error)})`);
  }
}

function reasonOf(error: unknown): string {
  return error instanceof AppError ? error.message : (codeOf(error) ?? messageOf(error));
}

/** What the action deleted, what is deepest first. */
async function takeAway(work: Work, names: ReadonlySet<string>): Promise<void> {
  const gone = Object.keys(work.manifest.things).filter((name) => !names.has(name));
  for (const name of gone.sort().reverse()) await attempt(work, name, () => takeOne(work, name));
}

async function takeOne(work: Work, name: string): Promise<void> {
  const { workspace, things } = work.manifest;
  const path = join(workspace, name);
  const theirs = await thingAt(path, null);
  if (theirs === null) return;
  if (!isSame(theirs, things[name] ?? null)) return void work.undeleted.push(name);
  await safeParent(workspace, name);
  if (theirs.kind !== 'folder') await rm(path);
  // Something in it is somebody else's.
  else if (!(await emptied(path))) return void work.undeleted.push(name);
  work.carried += 1;
}

async function emptied(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOTEMPTY') return false;
    throw error;
  }
}

async function carry(work: Work, name: string): Promise<void> {
  const { folder, run_id, manifest, moved } = work;
  const now = await thingAt(join(folder, name), moved);
  const before = manifest.things[name] ?? null;
  if (now === null || isSame(now, before)) return;
  refuseStrange(name, now);
  const theirs = await thingAt(join(manifest.workspace, name), null);
  if (isSame(now, theirs)) return;
  const place = { root: manifest.workspace, name, source: join(folder, name), run_id, moved };
  if (now.kind === 'folder') {
    if (theirs !== null) throw new Error('something else is there');
    await makeFolder(manifest.workspace, name);
  } else if (isSame(theirs, before) && theirs?.kind !== 'folder') {
    await putThing(place, now);
  } else {
    const beside = `${name}.polycrate-${run_id}`;
    await putThing({ ...place, name: beside }, now);
    work.beside.push(beside);
  }
  work.carried += 1;
}

/** A repository that an action made of a block's folder was none when it was copied. */
function refuseStrange(name: string, { kind }: Thing): void {
  if (kind === 'special') throw new Error('not a file');
  if (name.split('/').includes('.git')) throw new Error('git is not carried');
}

/** Instead of leaving with the run's own files. */
async function keep({ folder, kept }: EndedCopy): Promise<void> {
  await mkdir(dirname(kept), { recursive: true, mode: 0o700 });
  try {
    await rename(folder, kept);
  } catch (error) {
    // It was kept before a crash.
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
