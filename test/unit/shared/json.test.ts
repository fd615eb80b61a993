import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson, keyedDigest, sha256 } from '../../../src/shared/json.ts';

const shuffled = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).toReversed().map(([key, member]) => [key, shuffled(member)])); // prettier-ignore
};

describe('canonicalJson', () => {
  it.each([
    [{ b: 1, a: 2 }, '{"a":2,"b":1}'],
    [{ z: undefined, a: [undefined, null] }, '{"a":[null,null]}'],
    [[1, 'x', null, true], '[1,"x",null,true]'],
    ['ünïcode "quoted" \u0001', '"ünïcode \\"quoted\\" \\u0001"'],
    [{ '\ud83d\ude00': 1, '\ufb33': 2 }, '{"\ud83d\ude00":1,"\ufb33":2}'],
    [[1e21, 1e-7, -0, 4.5, 333333333.33333329], '[1e+21,1e-7,0,4.5,333333333.3333333]'],
    [undefined, 'null'],
  ])('%j', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it('is JSON for the same value, and the same for every order of keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(shuffled(value))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  it('tells different values apart', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const same = JSON.stringify(shuffled(a)) === JSON.stringify(shuffled(b));
        if (same) expect(canonicalJson(a)).toBe(canonicalJson(b));
        if (canonicalJson(a) === canonicalJson(b)) expect(JSON.parse(canonicalJson(a))).toEqual(JSON.parse(JSON.stringify(b)));
      }),
    );
  }); // prettier-ignore
});

it('a keyed digest depends on key and value, not on the order of keys', () => {
  const [one, two] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  expect(keyedDigest(one, { a: 1, b: 2 })).toBe(keyedDigest(one, { b: 2, a: 1 }));
  expect(keyedDigest(one, { a: 1 })).not.toBe(keyedDigest(two, { a: 1 }));
  expect(keyedDigest(one, 'x')).not.toBe(sha256('"x"'));
});
