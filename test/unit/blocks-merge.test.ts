import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ActionDeclaration } from '../../src/blocks/declaration.ts';
import { MAX_DEPTH, mergeActions, mergeValues } from '../../src/blocks/merge.ts';
import { isObject } from '../../src/shared/json.ts';

const maps = fc.dictionary(
  fc.constantFrom('a', 'b', 'c', 'constructor', 'toString', 'prototype'),
  fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(false, 0, '', null, 'x', 7),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'constructor'), tie('value'), { maxKeys: 3 }),
    ),
  })).value,
) as fc.Arbitrary<Record<string, unknown>>;

function nested(depth: number): Record<string, unknown> {
  return depth === 0 ? {} : { in: nested(depth - 1) };
}

function everyPart(value: unknown, check: (part: object) => boolean): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return check(value) && Object.values(value).every((part) => everyPart(part, check));
}

describe('merging configuration', () => {
  test.each([false, 0, '', null, [], {}])('what the child writes wins, also %j', (empty) => {
    const parent = { a: { b: 'default', c: 1 } };
    expect(mergeValues({ a: { b: empty } }, parent)).toEqual({ a: { b: empty, c: 1 } });
    expect(mergeValues({ b: empty }, { b: { c: 1 } })).toEqual({ b: empty });
  });

  test('lists win whole, and a type conflict keeps the child', () => {
    expect(mergeValues({ l: [1], m: 1, n: { a: 1 } }, { l: [2, 3], m: { a: 1 }, n: [1] })).toEqual({
      l: [1],
      m: 1,
      n: { a: 1 },
    });
  });

  test('an empty child or parent changes nothing', () => {
    fc.assert(
      fc.property(maps, (map) => {
        expect(mergeValues(map, {})).toEqual(map);
        expect(mergeValues({}, map)).toEqual(map);
        expect(mergeValues(map, map)).toEqual(map);
      }),
    );
  });

  test('every key of both is there, each child value unless both are maps', () => {
    fc.assert(
      fc.property(maps, maps, (child, parent) => {
        const merged = mergeValues(child, parent);
        expect(new Set(Object.keys(merged))).toEqual(
          new Set([...Object.keys(child), ...Object.keys(parent)]),
        );
        for (const [key, value] of Object.entries(child)) {
          const both = isObject(value) && Object.hasOwn(parent, key) && isObject(parent[key]);
          if (!both) expect(merged[key]).toEqual(value);
        }
      }),
    );
  });

  test('the result shares nothing that can change', () => {
    fc.assert(
      fc.property(maps, maps, (child, parent) => {
        expect(everyPart(mergeValues(child, parent), Object.isFrozen)).toBe(true);
      }),
    );
    const parent = { a: { b: [1] } };
    const merged = mergeValues({}, parent);
    parent.a.b.push(2);
    expect(merged).toEqual({ a: { b: [1] } });
  });

  test('no key reaches a prototype', () => {
    const hostile = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
    ) as object;
    const merged = mergeValues(hostile as Record<string, unknown>, { constructor: { a: 1 }, ok: 1 });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect(Object.keys(merged).sort()).toEqual(['constructor', 'ok']);
  });

  test('absurd depth is refused instead of exhausting the stack', () => {
    expect(mergeValues(nested(MAX_DEPTH - 1), nested(MAX_DEPTH - 1))).toEqual(nested(MAX_DEPTH - 1));
    expect(() => mergeValues(nested(10_000), {})).toThrow(/deeper than 64/);
    expect(() => mergeValues(nested(10_000), nested(10_000))).toThrow(/deeper than 64/);
  });
});

function action(name: string, fields: Partial<ActionDeclaration> = {}): ActionDeclaration {
  const empty = { description: null, playbook: null, script: [], prompt: null, interactive: null };
  return {
    name,
    at: { file: 'f', line: 1 },
    ...empty,
    alias: [],
    labels: {},
    config: {},
    problem: null,
    ...fields,
  };
}

describe('merging actions', () => {
  test('a script replaces an inherited playbook and a playbook an inherited script', () => {
    const [one, two] = mergeActions(
      [action('one', { script: ['x'] }), action('two', { playbook: 'p.yml' })],
      [action('one', { playbook: 'old.yml', description: 'd' }), action('two', { script: ['old'] })],
    );
    expect(one).toMatchObject({ script: ['x'], playbook: null, description: 'd' });
    expect(two).toMatchObject({ script: [], playbook: 'p.yml' });
  });

  test('a prompt of the parent cannot be emptied, an explicit interactive: false wins', () => {
    const [merged] = mergeActions(
      [action('a', { interactive: false, labels: { x: '1' } })],
      [action('a', { interactive: true, prompt: 'Sure?', labels: { x: '0', y: '0' } })],
    );
    expect(merged).toMatchObject({ interactive: false, prompt: 'Sure?', labels: { x: '1', y: '0' } });
  });

  test('actions of the child come first, those of the parent follow', () => {
    const merged = mergeActions([action('c'), action('b')], [action('a'), action('b')]);
    expect(merged.map((entry) => entry.name)).toEqual(['c', 'b', 'a']);
  });
});
