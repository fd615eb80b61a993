import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { liftOutput } from '../../src/adapters/workspace-files/lift-output.ts';

/** Shorter ones are left to the library. */
const LONG = 'x'.repeat(300_000);
const event = (quoted: string): string =>
  `transaction: t\noutput: "${quoted}"\nsnapshot:\n  output: "inner"\n`;
/** What the two together make of a file, against the library alone. */
const both = (text: string): [unknown, unknown] => {
  const { rest, output } = liftOutput(text);
  const read = parse(rest, { logLevel: 'silent' }) as object;
  return [output === null ? read : { ...read, output }, parse(text, { logLevel: 'silent' })];
};

describe('the output of a large event', () => {
  it('is what the library reads, whatever is in it', () => {
    const escapes = ['\\0', '\\a', '\\b', '\\t', '\\n', '\\v', '\\f', '\\r', '\\e', '\\ ', '\\"', '\\/', '\\\\', '\\N', '\\_', '\\L', '\\P', '\\x41', '\\u20ac', '\\U0001f600'];
    const piece = fc.oneof(fc.constantFrom(...escapes), fc.string().map((text) => stringify(text, { defaultStringType: 'QUOTE_DOUBLE', lineWidth: 0 }).slice(1, -2)));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = event(LONG + pieces.join(''));
        expect(liftOutput(text).output).not.toBeNull();
        const [mine, theirs] = both(text);
        expect(mine).toEqual(theirs);
      }),
      { numRuns: 15 },
    );
  }); // prettier-ignore

  it.each([
    ['no file of that size', event('short')],
    ['a block of lines', `output: |\n  ${LONG}\n  more\n`],
    ['another key', `other: "${LONG}"\n`],
    ['a quote that ends it earlier', `output: "${LONG}" # and "more"\n`],
    ['an unknown escape', event(`${LONG}\\q`)],
    ['text that goes on in the next line', `output: "${LONG}\n  more"\n`],
  ])('is left to the library where it is %s', (_case, text) => {
    expect(liftOutput(text)).toEqual({ rest: text, output: null });
  });

  it('is found at the very beginning, at the end, and before Windows line ends', () => {
    for (const text of [`output: "${LONG}\\e[0m"`, `a: 1\r\noutput: "${LONG}"\r\nb: 2\r\n`]) {
      const [mine, theirs] = both(text);
      expect(liftOutput(text).output).not.toBeNull();
      expect(mine).toEqual(theirs);
    }
  });
});
