import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AppError } from '../../src/shared/errors.ts';
import {
  checkText,
  closest,
  isMetadataName,
  parseBlockRef,
  parseWorkspaceRef,
  withoutHost,
} from '../../src/shared/names.ts';

describe('name-like arguments', () => {
  test.each(['db', 'cargo.example.com:5000/acme/db:1.10', 'Büro Süd', 'a_b-c+d@e'])(
    '%s is allowed',
    (text) => {
      expect(checkText('block', text)).toBe(text);
    },
  );

  test.each([
    ['', /is empty/],
    ['x'.repeat(201), /longer than 200/],
    ['--help', /dash/],
    ['/etc/passwd', /slash/],
    ['a/../b', /"\.\."/],
    ['..', /"\.\."/],
    ['a;b', /character other than/],
    ['a$(b)', /character other than/],
    ['a`b`', /character other than/],
    ['a|b', /character other than/],
    ['a\nb', /character other than/],
    ['a\u0000b', /character other than/],
    ['a\u202eb', /character other than/],
    ['a\\b', /character other than/],
  ])('%j is refused and the refusal names the argument', (text, expected) => {
    const refuse = (): unknown => checkText('block', text);
    expect(refuse).toThrow(expected);
    expect(refuse).toThrow(/^block .*Allowed are/);
    try {
      refuse();
    } catch (error) {
      expect((error as AppError).code).toBe('invalid_argument');
    }
  });

  test('whatever is long or repetitive is decided at once', () => {
    const started = performance.now();
    for (const text of ['a'.repeat(5_000_000), `${'a'.repeat(199)}!`, '../'.repeat(60)]) {
      expect(() => checkText('x', text)).toThrow();
      expect(isMetadataName(text)).toBe(false);
    }
    expect(isMetadataName(`${'a-'.repeat(99)}-`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(500);
  });

  test('the CLI rule for names', () => {
    const good = ['ab', 'a1', 'my-workspace', 'a/b', 'a_b', 'x__y'];
    const bad = ['a', '1a', 'a.b', 'a--b', 'a-', 'a/', '-a', 'a/-b', ''];
    expect(good.filter(isMetadataName)).toEqual(good);
    expect(bad.filter(isMetadataName)).toEqual([]);
  });

  test('the rule accepts exactly what the CLI accepts', () => {
    const original = /^[a-zA-Z]+([-/_]?[a-zA-Z0-9_]+)+$/;
    const text = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', '/', '_', '.'), maxLength: 9 });
    fc.assert(fc.property(text, (name) => isMetadataName(name) === original.test(name)));
  });
});

describe('references', () => {
  test.each([
    ['db', 'db', null],
    ['db:1.2', 'db', '1.2'],
    ['host:5000/acme/db', 'host:5000/acme/db', null],
    ['host:5000/acme/db:1', 'host:5000/acme/db', '1'],
    ['a:b:c', 'a:b', 'c'],
    ['db:', 'db', null],
    [':1', ':1', null],
  ])('block %s', (reference, name, version) => {
    expect(parseBlockRef(reference)).toEqual({ name, version });
  });

  test('workspace references', () => {
    expect(parseWorkspaceRef('shop')).toEqual({ organization: null, name: 'shop' });
    expect(parseWorkspaceRef('acme/shop')).toEqual({ organization: 'acme', name: 'shop' });
    expect(parseWorkspaceRef('-/shop')).toEqual({ organization: null, name: 'shop' });
    expect(() => parseWorkspaceRef('-/../x')).toThrow(/^workspace /);
    expect(() => parseWorkspaceRef('--shop')).toThrow(/dash/);
  });

  test('a name without its registry host', () => {
    const names = ['cargo.example.com/a/b', 'localhost/a', 'host:5000/a', 'a/b', 'a.b'];
    expect(names.map(withoutHost)).toEqual(['a/b', 'a', 'a', 'a/b', 'a.b']);
  });
});

describe('closest names', () => {
  test('best first, without regard to case, the last segment counts', () => {
    const known = ['zebra', 'cargo.example.com/acme/postgres', 'redis', 'Harbor'];
    expect(closest('postgers', known)[0]).toBe('cargo.example.com/acme/postgres');
    expect(closest('harbor', known, 1)).toEqual(['Harbor']);
  });

  test('never more than asked for, never the same twice, always known', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), fc.integer({ min: 0, max: 6 }), (name, known, max) => {
        const found = closest(name, known, max);
        expect(found.length).toBe(Math.min(max, new Set(known).size));
        expect(found.every((one) => known.includes(one))).toBe(true);
      }),
    );
  });

  test('long input is cut before it is compared', () => {
    const started = performance.now();
    closest('x'.repeat(1_000_000), Array<string>(2000).fill('y'.repeat(10_000)));
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
