import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cleanLine } from '../../../src/shared/clean-text.ts';

const HARMFUL =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom('\u001b', '[', ']', '31m', '0;x', '\u0007', '\\', '\r', '\t', 'a', 'ä', '\u202e', '\u200b', '\u{e0041}', '\u009b', '\ufeff', '😀'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  ),
}); // prettier-ignore

describe('cleanLine', () => {
  it.each([
    ['plain text', 'plain text'],
    ['tabs\tstay', 'tabs\tstay'],
    ['\u001b[1;31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007after', 'after'],
    ['\u001b]8;;https://example.com\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['\u001b(Bcharset', 'charset'],
    ['windows\r', 'windows'],
    ['one\rtwo', 'one␍two'],
    ['bell\u0007nul\u0000', 'bell␇nul␀'],
    ['del\u007f', 'del␡'],
    ['bidi \u202eevil\u202c', 'bidi evil'],
    ['zero\u200bwidth\ufeff', 'zerowidth'],
    ['tags\u{e0041}\u{e0042}', 'tags'],
    ['c1 \u009b31m', 'c1 \ufffd31m'],
    ['Grüße, 世界 😀', 'Grüße, 世界 😀'],
  ])('%j becomes %j', (line, clean) => {
    expect(cleanLine(line)).toBe(clean);
  });

  it('leaves nothing that moves a cursor, hides or reorders text', () => {
    fc.assert(fc.property(nasty, (line) => void expect(cleanLine(line)).not.toMatch(HARMFUL)));
    fc.assert(
      fc.property(nasty, (line) => void expect(cleanLine(line)).not.toMatch(/[\u{e0000}-\u{e007f}]/u)),
    );
  });

  it('changes nothing the second time, and never ordinary text', () => {
    fc.assert(fc.property(nasty, (line) => void expect(cleanLine(cleanLine(line))).toBe(cleanLine(line))));
    const ordinary = fc.string({
      unit: fc.constantFrom('a', 'Z', '0', ' ', '\t', '[', ']', '*', 'ß', '語', '😀'),
    });
    fc.assert(fc.property(ordinary, (line) => void expect(cleanLine(line)).toBe(line)));
  });

  it.each([
    ['unfinished titles', '\u001b]'.repeat(50_000)],
    ['unfinished sequences', '\u001b['.repeat(50_000)],
    ['parameters', `\u001b[${'1;'.repeat(50_000)}`],
    ['escapes', '\u001b'.repeat(100_000)],
  ])('takes linear time for %s', (_, line) => {
    const began = performance.now();
    cleanLine(line);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});
