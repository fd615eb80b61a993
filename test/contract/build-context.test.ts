import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ImageBuild } from '../../src/actions/custom-image.ts';
import { buildContexts, buildFileOf } from '../../src/adapters/workspace-files/build-context.ts';
import { sha256 } from '../../src/shared/json.ts';
import { tempFolder } from '../support/mcp.ts';
import { workspaceOf } from '../support/planned.ts';

// What of a workspace goes to the engine for a build, and that it is what was planned.

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder('context');
  await writeFile(join(folder.path, 'Dockerfile.poly'), 'FROM a\nCOPY . /\n');
  await writeFile(join(folder.path, 'a.txt'), 'alpha');
  await writeFile(join(folder.path, 'b.sh'), 'beta', { mode: 0o755 });
});
afterEach(() => folder.remove());

async function planned(): Promise<ImageBuild> {
  const file = await buildFileOf(workspaceOf({ path: folder.path }));
  const { digest } = await file!.context();
  const { text, left_out, file: dockerfile } = file!;
  return {
    root: folder.path,
    dockerfile,
    digest: sha256(text),
    context: digest,
    left_out,
    tag: 't',
    bases: [],
  };
}

async function sent(build: ImageBuild): Promise<[string, string, string][]> {
  const found: [string, string, string][] = [];
  for await (const { name, kind, content } of buildContexts.entries(build)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content()) chunks.push(chunk);
    found.push([name, kind, Buffer.concat(chunks).toString()]);
  }
  return found;
}

it('is the Dockerfile and the files beside it, as they were planned', async () => {
  expect(await sent(await planned())).toEqual([
    ['Dockerfile.poly', 'file', 'FROM a\nCOPY . /\n'],
    ['a.txt', 'file', 'alpha'],
    ['b.sh', 'executable', 'beta'],
  ]);
});

it.each([
  ['a file', 'a.txt', 'ALPHA'],
  ['one file more', 'c.txt', ''],
  ['the Dockerfile', 'Dockerfile.poly', 'FROM evil\nCOPY . /\n'],
])('is refused where %s changed after it was planned', async (_what, name, content) => {
  const build = await planned();
  await writeFile(join(folder.path, name), content);
  await expect(sent(build)).rejects.toMatchObject({ code: 'plan_changed' });
});

it('is the Dockerfile alone where nothing is copied', async () => {
  expect(await sent({ ...(await planned()), context: null })).toHaveLength(1);
});
