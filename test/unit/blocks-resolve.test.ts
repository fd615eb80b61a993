import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockerOf, type Block } from '../../src/blocks/block.ts';
import type { ActionDeclaration, BlockDeclaration } from '../../src/blocks/declaration.ts';
import { resolveBlocks } from '../../src/blocks/resolve.ts';

const matching = (expected: RegExp): unknown => expect.stringMatching(expected);
const containing = (expected: string): unknown => expect.stringContaining(expected);

type Wanted = Partial<Omit<BlockDeclaration, 'from' | 'actions'>> & {
  from?: string;
  actions?: Partial<ActionDeclaration>[];
};

/** A block.poly in a folder of the block's name. */
function onDisk(name: string, { from, actions, ...rest }: Wanted = {}): BlockDeclaration {
  const file = `blocks/${name}/block.poly`;
  const at = { file, line: 1 };
  return {
    name,
    at,
    layer: 'block',
    dir: `blocks/${name}`,
    text: {},
    from: from === undefined ? null : { reference: from, at: { file, line: 2 } },
    template: null,
    labels: {},
    alias: null,
    about: {},
    config: {},
    actions: (actions ?? []).map((fields) => ({
      ...{ name: 'run', at, description: null, playbook: null, script: [], prompt: null, interactive: null },
      ...{ alias: [], labels: {}, config: {}, problem: null },
      ...fields,
    })),
    inventory: { from: null, filename: null },
    kubeconfig: { from: null, filename: null },
    problems: [],
    ...rest,
  };
}

/** An entry of workspace.poly. */
function inWorkspace(name: string, wanted: Wanted = {}): BlockDeclaration {
  const entry = onDisk(name, wanted);
  const at = { file: 'workspace.poly', line: 7 };
  return { ...entry, at, layer: 'workspace', dir: null, from: entry.from && { ...entry.from, at } };
}

function resolved(...declarations: BlockDeclaration[]): Record<string, Block> {
  return Object.fromEntries(resolveBlocks(declarations).map((block) => [block.name, block]));
}

const errors = (block: Block | undefined): string[] =>
  (block?.problems ?? []).filter((one) => one.severity === 'error').map((one) => one.message);

describe('one name in several files', () => {
  test('workspace.poly wins over block.poly, key by key, and says where each value comes from', () => {
    const { db } = resolved(
      inWorkspace('db', { config: { port: 0, tls: { on: false } } }),
      onDisk('db', { config: { port: 1, tls: { on: true, min: 2 }, host: 'x' }, text: { version: '1.10' } }),
    );
    expect(db).toMatchObject({
      config: { port: 0, tls: { on: false, min: 2 }, host: 'x' },
      version: '1.10',
      dir: 'blocks/db',
    });
    expect(db?.origin).toEqual({
      name: 'workspace.poly',
      version: 'blocks/db/block.poly',
      'config.port': 'workspace.poly',
      'config.tls.on': 'workspace.poly',
      'config.tls.min': 'blocks/db/block.poly',
      'config.host': 'blocks/db/block.poly',
    });
  });

  test('a second block.poly only fills gaps of the first, with a warning', () => {
    const second = { ...onDisk('db', { config: { a: 2, b: 2 } }), dir: 'blocks/copy' };
    const { db } = resolved(onDisk('db', { config: { a: 1 } }), second);
    expect(db).toMatchObject({
      config: { a: 1, b: 2 },
      dir: 'blocks/db',
      dirs: ['blocks/db', 'blocks/copy'],
    });
    expect(db?.problems).toMatchObject([{ severity: 'warning', message: containing('more than once') }]);
    expect(blockerOf(db as Block)).toBeNull();
  });

  test('entries of workspace.poly come first, then the rest in walk order', () => {
    const names = Object.keys(
      resolved(inWorkspace('z'), inWorkspace('b'), onDisk('a'), onDisk('b'), onDisk('c')),
    );
    expect(names).toEqual(['z', 'b', 'a', 'c']);
  });

  test('mentioning an app makes it an instance', () => {
    const app = onDisk('app', { text: { kind: 'k8sapp' } });
    expect(resolved(app)['app']?.kind).toBe('k8sapp');
    expect(resolved(inWorkspace('app'), app)['app']?.kind).toBe('k8sappinstance');
  });
});

describe('from', () => {
  test('inherits configuration, actions and folder, whatever the order of declaration', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const chain = [
          inWorkspace('a', { from: 'b', config: { own: 1 } }),
          inWorkspace('b', { from: 'c:2', config: { depth: { b: 1 } } }),
          onDisk('c', { from: 'd', config: { depth: { b: 0, c: 1 } }, text: { version: '2' } }),
          onDisk('d', { config: { depth: { d: 1 } }, actions: [{ name: 'install', playbook: 'x.yml' }] }),
        ];
        const { a } = resolved(...order.map((index) => chain[index] as BlockDeclaration));
        expect(a).toMatchObject({
          config: { own: 1, depth: { b: 1, c: 1, d: 1 } },
          version: '2',
          dir: 'blocks/d',
          dirs: ['blocks/c', 'blocks/d'],
          problems: [],
        });
        expect(a?.actions.map((action) => action.name)).toEqual(['install']);
        expect(a?.origin['actions.install']).toBe('blocks/d/block.poly (from d)');
      }),
    );
  });

  test('a template passes on everything but being a template', () => {
    const { base, one } = resolved(onDisk('base', { template: true }), inWorkspace('one', { from: 'base' }));
    expect(base?.template).toBe(true);
    expect(one).toMatchObject({ template: false, dir: 'blocks/base' });
  });

  test('an instance of an app is an app instance, whatever it says', () => {
    const { one } = resolved(
      onDisk('base', { text: { kind: 'k8sapp' } }),
      inWorkspace('one', { from: 'base', text: { kind: 'generic' } }),
    );
    expect(one?.kind).toBe('k8sappinstance');
  });

  test('two instances share nothing that can change', () => {
    const base = onDisk('base', {
      config: { l: [1] },
      labels: { a: 'b' },
      actions: [{ script: ['x'], alias: ['y'] }],
    });
    const { one, two } = resolved(
      base,
      inWorkspace('one', { from: 'base' }),
      inWorkspace('two', { from: 'base' }),
    );
    expect(one?.config).toEqual(two?.config);
    expect(Object.isFrozen(one?.config['l'])).toBe(true);
    for (const key of ['labels', 'alias', 'actions', 'inventory', 'dirs', 'origin'] as const) {
      expect(one?.[key]).toEqual(two?.[key] && (key === 'origin' ? { ...two.origin } : two[key]));
      expect(one?.[key]).not.toBe(two?.[key]);
    }
    expect(one?.actions[0]?.script).not.toBe(two?.actions[0]?.script);
  });

  test('a missing parent is a problem of that block alone and names the closest', () => {
    const { lost, other } = resolved(
      inWorkspace('lost', { from: 'postgers:1' }),
      onDisk('postgres'),
      onDisk('other'),
    );
    expect(lost?.problems).toEqual([
      {
        severity: 'error',
        file: 'workspace.poly',
        line: 7,
        message: matching(/postgers, which is not.*closest first: postgres, /),
      },
    ]);
    expect(other?.problems).toEqual([]);
  });

  test('cycles are reported on their members, and what leads into them cannot be used either', () => {
    const { a, b, self, outside, fine } = resolved(
      onDisk('a', { from: 'b' }),
      onDisk('b', { from: 'a' }),
      onDisk('self', { from: 'self' }),
      onDisk('outside', { from: 'a' }),
      onDisk('fine'),
    );
    expect(errors(a)).toEqual(['from leads back to the block itself: a → b → a']);
    expect(errors(b)).toEqual(['from leads back to the block itself: b → a → b']);
    expect(errors(self)).toEqual(['from leads back to the block itself: self → self']);
    expect(errors(outside)).toEqual(['its parent a cannot be used; see the problems of that block']);
    expect(errors(fine)).toEqual([]);
  });

  test('another version than the one asked for is reported', () => {
    const { one } = resolved(
      inWorkspace('one', { from: 'base:1.1' }),
      onDisk('base', { text: { version: '1.10' } }),
    );
    expect(errors(one)).toEqual(['from asks for base in version 1.1, but 1.10 is here']);
  });

  test('the registry host may be left out while that is unambiguous', () => {
    const full = onDisk('cargo.example.com/acme/db', { text: { version: '1' } });
    expect(resolved(full, inWorkspace('one', { from: 'acme/db:1' }))['one']?.dir).toBe(full.dir);
    const two = resolved(full, onDisk('other.example/acme/db'), inWorkspace('one', { from: 'acme/db' }));
    expect(errors(two['one'])[0]).toMatch(/fits several blocks: cargo\.example\.com.*other\.example/);
  });

  test('thousands of links are refused without exhausting the stack', () => {
    const chain = Array.from({ length: 3000 }, (_, index) => onDisk(`b${index}`, { from: `b${index + 1}` }));
    const blocks = resolved(...chain, onDisk('b3000'));
    expect(errors(blocks['b2990'])).toEqual([]);
    expect(errors(blocks['b0'])).not.toEqual([]);
    const ring = resolved(...chain, onDisk('b3000', { from: 'b0' }));
    expect(errors(ring['b5'])[0]).toMatch(/^from leads back to the block itself: b5 → b6 .* → … → b5$/);
  });
});

describe('actions', () => {
  const problemOf = (fields: Partial<ActionDeclaration>): string | null | undefined =>
    resolved(onDisk('x', { actions: [fields] }))['x']?.actions[0]?.problem;

  test.each<[string, Partial<ActionDeclaration>, RegExp]>([
    ['both bodies', { script: ['x'], playbook: 'p.yml' }, /both script and playbook/],
    ['no body', {}, /neither script nor playbook/],
    ['a bad name', { name: '-x', script: ['x'] }, /name must start with a letter/],
    ['a name of one letter', { name: 'x', script: ['x'] }, /name must start/],
    ['a playbook above the folder', { playbook: 'a/../../p.yml' }, /inside the folder/],
    ['an absolute playbook', { playbook: '/etc/p.yml' }, /inside the folder/],
    ['a playbook that looks like an option', { playbook: '--help' }, /inside the folder/],
  ])('%s is a problem of the action, with file and line', (_case, fields, expected) => {
    expect(problemOf(fields)).toMatch(/^blocks\/x\/block\.poly:1: /);
    expect(problemOf(fields)).toMatch(expected);
  });

  test('one bad action leaves the block and its other actions usable', () => {
    const { x } = resolved(onDisk('x', { actions: [{ name: 'bad' }, { name: 'good', script: ['true'] }] }));
    expect(x?.actions.map((action) => action.problem === null)).toEqual([false, true]);
    expect(blockerOf(x as Block)).toBeNull();
  });

  test('a child that switches from playbook to script does not end with both', () => {
    const { one } = resolved(
      onDisk('base', { actions: [{ playbook: 'p.yml' }] }),
      inWorkspace('one', { from: 'base', actions: [{ script: ['true'] }] }),
    );
    expect(one?.actions).toMatchObject([{ kind: 'script', playbook: null, script: ['true'], problem: null }]);
  });
});

test('a block name that could leave its folder is a problem of the block', () => {
  expect(errors(resolved(onDisk('a/../b'))['a/../b'])[0]).toMatch(/"\.\." segment/);
});
