import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedaction } from '../../src/shared/redact/redaction.ts';
import { shortened, storedArguments } from '../../src/runs/trail-arguments.ts';
import { canonicalJson, type Json } from '../../src/shared/json.ts';

const { text } = createRedaction();
const stored = (given: Json): Json => storedArguments(given, text);

const anything = fc.jsonValue({ maxDepth: 6 }) as fc.Arbitrary<Json>;

describe('stored arguments', () => {
  it('are what was sent, where that is short and clean', () => {
    const short = fc.dictionary(
      fc.stringMatching(/^[a-z]{1,8}$/).filter((name) => !/pass|secret|token|credential/.test(name)),
      fc.oneof(fc.stringMatching(/^[ -~\n]{0,40}$/), fc.integer(), fc.boolean(), fc.constant(null)),
      { maxKeys: 10 },
    );
    fc.assert(fc.property(short, (given) => void expect(stored(given)).toEqual(given)));
  });

  it('are bounded, whatever was sent', () => {
    const huge = fc.array(fc.string({ maxLength: 3_000 }), { maxLength: 80 });
    fc.assert(
      fc.property(fc.dictionary(fc.string({ maxLength: 900 }), fc.oneof(anything, huge)), (given) => {
        expect(texts(stored(given)).join('').length).toBeLessThan(4_000 + 60 * 30);
      }),
      { numRuns: 200 },
    );
  });

  it('hold no secret that was named as one, wherever else it stands', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9]{8,30}$/);
    fc.assert(
      fc.property(secret, anything, (value, rest) => {
        const given = {
          rest,
          note: `it is ${value}!`,
          db_password: value,
          list: [{ apiToken: value }, value],
        };
        const [kept, other] = [JSON.stringify(stored(given)), JSON.stringify(rest)];
        fc.pre(!other.includes(value) && !'passwordapiTokennotelistrest'.includes(value));
        expect(kept).not.toContain(value);
      }),
    );
  });

  it('hold no part of a secret either, wherever a long text is cut', () => {
    const value = 'K7'.repeat(100);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_200 }), fc.integer({ min: 0, max: 4 }), (before, times) => {
        const note = `${value} `.repeat(times) + '.'.repeat(before) + value + '.'.repeat(2_000);
        expect(JSON.stringify(stored({ token: value, note }))).not.toContain('K7');
      }),
    );
  });

  it('have no character that could steer a terminal', () => {
    fc.assert(
      fc.property(anything, (given) => {
        for (const text of texts(stored(given))) expect(text).not.toMatch(/[\u0000-\u0008\u001b\u202e\u200b]/);
      }),
    );
  }); // prettier-ignore

  it('say where and how much is left out', () => {
    expect(shortened('x'.repeat(600), 1_000)).toBe(`${'x'.repeat(500)}… (100 more characters)`);
    expect(shortened({ a: 'x'.repeat(600), b: 1 }, 100)).toEqual({ a: `${'x'.repeat(99)}… (501 more characters)`, '…': '1 more' });
    expect(shortened(Array.from({ length: 60 }, () => 1), 1_000)).toHaveLength(51);
    expect(canonicalJson(shortened(nested(40), 1_000))).toContain('nested deeper');
  }); // prettier-ignore
});

function nested(depth: number): Json {
  return depth === 0 ? 'end' : [nested(depth - 1)];
}

/** Every name and every text, at any depth. */
function texts(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(texts);
  return Object.entries(value).flatMap(([name, member]) => [name, ...texts(member)]);
}
