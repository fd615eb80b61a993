import { mkdir, symlink } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Workspace } from '../../src/workspaces/workspace.ts';
import { workspaceBlockerOf } from '../../src/workspaces/workspace.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';

const matching = (expected: RegExp): unknown => expect.stringMatching(expected);
const containing = (expected: string): unknown => expect.stringContaining(expected);

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: false });
  await folder.write('w/workspace.poly', 'name: work\norganization: acme\n');
  await folder.write('w/blocks/fine/block.poly', 'name: fine\nversion: 1.10\n');
});
afterEach(() => folder.remove());

async function only(): Promise<Workspace> {
  const [workspace, ...others] = await folder.store().list();
  expect(others).toEqual([]);
  return workspace as Workspace;
}

const nine = (item: string): string => `[${Array(9).fill(item).join(', ')}]`;
const bomb = [
  'a0: &a0 [x, x]',
  ...Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} ${nine(`*a${i}`)}`),
];
const deep = Array.from({ length: 100 }, (_, level) => `${' '.repeat(level)}k:`).join('\n');

const BAD_BLOCKS: [string, string | Uint8Array, RegExp, number | null][] = [
  ['empty', '', /expected a mapping with at least a name/, 1],
  ['only a comment', '# nothing\n', /expected a mapping/, 1],
  ['a list', '- name: x\n', /expected a mapping/, 1],
  ['broken', 'name: x\nconfig: {a: [1\nversion: 1\n', /./, 3],
  ['indented with tabs', 'name: bad\nconfig:\n\tport: 1\n', /Tabs are not allowed/, 3],
  ['a duplicate key', 'name: bad\nversion: 1\nversion: 2\n', /version is written twice/, 3],
  ['without a name', 'version: 1\n', /needs a name/, 1],
  ['a list as name', 'version: 1\nname: [a]\n', /name: expected a text, found a list/, 2],
  ['config as text', 'name: bad\nconfig: x\n', /config: expected a mapping, found text/, 2],
  [
    'labels that are no texts',
    'name: bad\nlabels:\n  a: [1]\n',
    /labels\.a: expected a text, found a list/,
    3,
  ],
  ['a flag that is none', 'name: bad\ntemplate: maybe\n', /template: expected true or false/, 2],
  ['too large', `name: bad\n${'#'.repeat(1024 * 1024)}`, /larger than 1024 KiB/, null],
  ['too many entries', `name: bad\nl:\n${'- \n'.repeat(300_000)}`, /too many entries/, 13332],
  ['nested too deeply', deep, /deeper than 64/, 65],
  ['nested absurdly', '['.repeat(500_000), /nested too deeply/, 1],
  ['an alias bomb', ['name: bad', ...bomb].join('\n'), /aliases expand to more than/, 1],
  ['a circular alias', 'name: bad\nconfig: &c\n  again: *c\n', /\*c contains itself/, 3],
  ['an alias without anchor', 'name: bad\nconfig: *c\n', /\*c has no anchor/, 2],
  ['binary', new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0]), /control character/, 1],
  ['not UTF-8', new Uint8Array([0x6e, 0xff, 0xfe, 0x6e]), /not UTF-8/, null],
];

describe('bad block.poly files', () => {
  test.each(BAD_BLOCKS)(
    '%s: a problem with file and line, quickly',
    async (_case, content, message, line) => {
      await folder.write('w/blocks/bad/block.poly', content);
      const started = performance.now();
      const workspace = await only();
      expect(performance.now() - started).toBeLessThan(5000);
      const errors = workspace.problems.filter((problem) => problem.severity === 'error');
      expect(errors[0]).toMatchObject({
        file: 'blocks/bad/block.poly',
        message: matching(message),
        line,
      });
      expect(workspace.blocks.find((block) => block.name === 'fine')).toMatchObject({
        version: '1.10',
        problems: [],
      });
      expect(workspaceBlockerOf(workspace)).toBeNull();
    },
  );

  test('a broken file keeps its name, so that an entry of workspace.poly does not run without it', async () => {
    await folder.write('w/workspace.poly', 'name: work\norganization: acme\nblocks:\n  - name: db\n');
    await folder.write('w/blocks/db/block.poly', 'name: db\nconfig:\n  a: 1\n  a: 2\n');
    const db = (await only()).blocks.find((block) => block.name === 'db');
    expect(db?.problems).toMatchObject([{ severity: 'error', file: 'blocks/db/block.poly', line: 4 }]);
  });

  test('messages do not repeat what the file says', async () => {
    await folder.write('w/blocks/bad/block.poly', 'name: bad\nconfig: "a" "s3cret"\n  } s3cret: [s3cret\n');
    expect(JSON.stringify((await only()).problems)).not.toContain('s3cret');
  });
});

describe('unusual but good files', () => {
  test.each([
    ['a byte order mark', '\ufeffname: odd\nversion: 1.10\n'],
    ['CRLF', 'name: odd\r\nversion: 1.10\r\nconfig:\r\n  a: b\r\n'],
    ['unknown keys', 'name: odd\nversion: 1.10\nlicense: MIT\nsbom: { a: [1] }\n'],
    ['merge keys', 'name: odd\nversion: 1.10\nx: &x { a: b, c: d }\nconfig:\n  <<: *x\n  c: e\n'],
    ['a custom tag', 'name: odd\nversion: 1.10\nconfig: { a: !vault b }\n'],
    ['two documents', 'name: odd\nversion: 1.10\n---\nname: other\n'],
  ])('%s', async (_case, content) => {
    await folder.write('w/blocks/odd/block.poly', content);
    const odd = (await only()).blocks.find((block) => block.name === 'odd');
    expect(odd).toMatchObject({ version: '1.10' });
    expect(odd?.problems.filter((problem) => problem.severity === 'error')).toEqual([]);
  });

  test('numbers that a double cannot hold stay as written, keys keep their case', async () => {
    const content =
      'name: odd\nconfig:\n  Big: 123456789012345678901\n  small: 7\n  nan: .nan\n  __proto__: { x: 1 }\n';
    await folder.write('w/blocks/odd/block.poly', content);
    const odd = (await only()).blocks.find((block) => block.name === 'odd');
    expect(odd?.config).toEqual({ Big: '123456789012345678901', small: 7, nan: '.nan' });
    expect(odd?.problems).toMatchObject([{ severity: 'warning', line: 6 }]);
  });
});

describe('links and special files', () => {
  test('a block.poly that is a link is a problem, a linked folder is not followed', async () => {
    await folder.write('outside/block.poly', 'name: outside\n');
    await mkdir(folder.path('w/blocks/linked'));
    await symlink(folder.path('outside/block.poly'), folder.path('w/blocks/linked/block.poly'));
    await symlink(folder.path('outside'), folder.path('w/blocks/folder'));
    const workspace = await only();
    expect(workspace.blocks.map((block) => block.name)).toEqual(['fine']);
    expect(workspace.problems).toMatchObject(
      [{ file: 'blocks/linked/block.poly', message: /symbolic link/ }].map((problem) => ({
        ...problem,
        message: matching(problem.message),
      })),
    );
  });

  test('a pipe called block.poly or workspace.poly is never opened', async () => {
    await mkdir(folder.path('w/blocks/pipe'));
    execFileSync('mkfifo', [folder.path('w/blocks/pipe/block.poly')]);
    await mkdir(folder.path('p'));
    execFileSync('mkfifo', [folder.path('p/workspace.poly')]);
    const [piped, workspace] = await folder.store().list();
    expect(piped).toMatchObject({
      name: 'p',
      problems: [{ message: containing('not a regular file') }],
    });
    expect(workspace?.problems).toMatchObject([{ file: 'blocks/pipe/block.poly', severity: 'error' }]);
  });

  test.each([
    ['../outside', /inside the workspace/],
    ['/etc', /inside the workspace/],
    ['escape', /leads out of the workspace/],
  ])('blocksroot %s does not leave the workspace', async (blocksroot, message) => {
    await folder.write('outside/x/block.poly', 'name: outside\n');
    await symlink(folder.path('outside'), folder.path('w/escape'));
    await folder.write(
      'w/workspace.poly',
      `name: work\norganization: acme\nconfig:\n  blocksroot: ${blocksroot}\n`,
    );
    const workspace = await only();
    expect(workspace.blocks.some((block) => block.name === 'outside')).toBe(false);
    expect(workspaceBlockerOf(workspace)).toMatch(message);
  });

  test('blocks are found at any sensible depth, hidden folders included, .git left out', async () => {
    await folder.write('w/blocks/a/.b/c/block.poly', 'name: deep\n');
    await folder.write('w/blocks/.git/x/block.poly', 'name: git\n');
    await folder.write(`w/blocks/${'d/'.repeat(40)}block.poly`, 'name: bottomless\n');
    const workspace = await only();
    expect(workspace.blocks.map((block) => block.name)).toEqual(['deep', 'fine']);
    expect(workspace.problems).toMatchObject([{ message: containing('deeper than 32') }]);
  });
});

describe('bad workspace.poly files', () => {
  test.each<[string, string, string, RegExp]>([
    ['empty', '', 'w', /expected a mapping/],
    ['broken', 'name: [\n', 'w', /./],
    ['without a name', 'organization: acme\n', 'w', /needs a name/],
    ['a bad name', 'name: a b\norganization: acme\n', 'w', /must start with a letter/],
    ['a bad organization', 'name: work\norganization: ../x\n', 'work', /organization: has a "\.\." segment/],
    ['blocks as a mapping', 'name: work\norganization: a\nblocks: {}\n', 'work', /blocks: expected a list/],
    [
      'a bad variable',
      'name: work\norganization: acme\nextraenv: ["s3cret"]\n',
      'work',
      /entry 1 is not KEY=value/,
    ],
    [
      'a bad mount',
      'name: work\norganization: acme\nextramounts: ["/a:/b:nosuid"]\n',
      'work',
      /not host:container/,
    ],
  ])('%s: listed, blocks included, but nothing runs', async (_case, content, name, message) => {
    await folder.write('w/workspace.poly', content);
    const workspace = await only();
    expect(workspace.name).toBe(name);
    expect(workspace.blocks.map((block) => block.name)).toEqual(['fine']);
    expect(workspaceBlockerOf(workspace)).toMatch(message);
    expect(workspaceBlockerOf(workspace)).not.toContain('s3cret');
  });
});

test('whatever the files hold, listing never throws', async () => {
  const piece = fc.constantFrom(
    ...['name', 'config', 'actions', 'from', 'script', 'labels', 'blocks', 'workflows', 'steps', '__proto__'],
    ...[
      ': ',
      ':\n',
      '\n',
      '\n  ',
      '\n    ',
      '- ',
      '\t',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
      '|',
      '>',
      '&a ',
      '*a',
    ],
    ...[
      '!!str ',
      '!x ',
      '<<: ',
      '? ',
      '---\n',
      '%YAML 1.1\n',
      '#',
      '~',
      '1.10',
      'x',
      '\ufeff',
      '\u0000',
      '\r\n',
      'é',
    ],
  );
  const text = fc.array(piece, { maxLength: 60 }).map((pieces) => pieces.join(''));
  const start = fc.constantFrom('', 'name: some\n', 'name: some\nactions:\n  - name: run\n    ');
  const store = folder.store();
  await fc.assert(
    fc.asyncProperty(start, text, text, async (prefix, block, workspace) => {
      await folder.write('w/blocks/x/block.poly', prefix + block);
      await folder.write('w/workspace.poly', `${prefix}${workspace}`);
      const [found] = await store.list();
      expect(found?.blocks.some((one) => one.name === 'fine')).toBe(true);
      for (const problem of found?.problems ?? []) expect(problem.file).toMatch(/\.poly$/);
    }),
    { numRuns: 400 },
  );
});
