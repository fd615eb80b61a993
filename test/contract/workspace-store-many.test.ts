import { mkdir, rename, rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createWorkspaceFiles } from '../../src/adapters/workspace-files/index.ts';
import type { WorkspaceStore } from '../../src/workspaces/workspace-store.ts';
import type { Workspace } from '../../src/workspaces/workspace.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';

// Many workspaces at once are read by threads, in the very same way; later calls ask only what changed.

const MANY = 40;
const WORKER = new URL('../../dist/scan-worker.js', import.meta.url);

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: true });
  for (let n = 0; n < MANY; n++) {
    await folder.write(`many/w${n}/workspace.poly`, `name: works-${n}\norganization: many\nalias: [alias-${n}]\nblocks:\n  - name: app\n    config: { n: ${n} }\n`); // prettier-ignore
    await folder.write(`many/w${n}/blocks/app/block.poly`, `name: app\nversion: 1.${n}0\nconfig: { a: [1, { b: 2 }] }\n`); // prettier-ignore
  }
  await folder.write('many/w1/blocks/bad/block.poly', 'name: [\n');
  await folder.write('many/w2/workspace.poly', '');
  await folder.write('many/w3/workspace.poly', Buffer.from([0xff, 0xfe, 0x00]));
  await mkdir(folder.path('many/w4/blocks/folder/block.poly'), { recursive: true });
});
afterEach(() => folder.remove());

function store(scanWorker?: URL, told: string[] = []): WorkspaceStore {
  const roots = [{ path: folder.root, named: true }];
  const log = (_level: string, message: string) => void told.push(message);
  return createWorkspaceFiles({ roots, environmentsFile: null, ...(scanWorker && { scanWorker }), log });
}

test('threads find what one thread finds, broken files and their lines included', async () => {
  const told: string[] = [];
  const [threads, alone] = await Promise.all([store(WORKER, told).list(), store().list()]);
  expect(threads).toEqual(alone);
  expect(threads.length).toBe(MANY + 2);
  expect(threads.flatMap(({ problems }) => problems).length).toBeGreaterThan(4);
  expect(told).toEqual([]);
});

test('without threads that work, it still reads everything', async () => {
  const told: string[] = [];
  const broken = store(new URL('file:///nowhere/scan-worker.js'), told);
  expect((await broken.list()).length).toBe(MANY + 2);
  expect(told).toEqual(['workspaces are read without threads']);
});

test('an execution gets the secrets of a workspace that a thread has read', async () => {
  await folder.write('many/w5/secrets.poly', 'blocks: [{ name: app, config: { password: hidden } }]\n');
  const files = store(WORKER);
  const works = (await files.list()).find(({ name }) => name === 'works-5')!;
  expect(works.blocks[0]!.config).not.toHaveProperty('password');
  expect((await files.unlock(works)).blocks[0]!.config).toMatchObject({ password: 'hidden', n: 5 });
});

test('every change on disk is seen at the next call, and nothing is read that did not change', async () => {
  const files = store(WORKER);
  const first = await settled(files);
  expect(await files.list()).toBe(first);
  const of = async (name: string) => (await files.list()).find((one) => one.name === name);
  await folder.write('many/w7/blocks/app/block.poly', 'name: app\nversion: 9.9\n');
  expect((await of('works-7'))!.blocks[0]!.version).toBe('9.9');
  expect(await of('works-8')).toBe(first.find(({ name }) => name === 'works-8'));
  await folder.write('many/w7/blocks/app/deep/er/block.poly', 'name: deeper\n');
  expect((await of('works-7'))!.blocks.map(({ name }) => name)).toContain('deeper');
  await rm(folder.path('many/w7/blocks/app/block.poly'));
  expect((await of('works-7'))!.blocks.find(({ name }) => name === 'app')).toMatchObject({ version: null });
  await rename(folder.path('many/w9'), folder.path('many/moved'));
  expect((await of('works-9'))!.path).toBe(folder.path('many/moved'));
  await rm(folder.path('many/w10'), { recursive: true });
  expect(await of('works-10')).toBeUndefined();
  await folder.write('many/new/workspace.poly', 'name: fresh\norganization: many\n');
  expect(await of('fresh')).toBeDefined();
});

test.each(['works-7', 'many/works-7', 'alias-7'])('who needs only %s sees its changes, and new names', async (needed) => {
  const files = store(WORKER);
  await settled(files);
  const seen = async () => (await files.list(needed)).find(({ name }) => name === 'works-7')!.blocks[0]!.version;
  for (const version of ['2', '3']) {
    await folder.write('many/w7/blocks/app/block.poly', `name: app\nversion: ${version}\n`);
    expect(await seen()).toBe(version);
  }
  await folder.write('many/w8/workspace.poly', 'name: works-7\norganization: other\n');
  expect((await files.list(needed)).filter(({ name }) => name === 'works-7')).toHaveLength(2);
}); // prettier-ignore

/** What was written just now may change again under the same time stamp, and is read again until that is over. */
async function settled(files: WorkspaceStore): Promise<readonly Workspace[]> {
  for (let last = await files.list(); ;) {
    const next = await files.list();
    if (next === last) return next;
    last = next;
  }
}
