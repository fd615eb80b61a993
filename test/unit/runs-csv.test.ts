import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cell } from '../../src/history/runs-csv.ts';

it.each([
  [null, ''],
  [-1, '-1'],
  [true, 'true'],
  ['plain', 'plain'],
  ['a,b', '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@cmd', "'@cmd"],
  ['\tx', '"\'\tx"'],
  ['two\nlines', '"two\nlines"'],
  ['a;=1', '"a;=1"'],
])('%j becomes %j', (value, text) => {
  expect(cell(value)).toBe(text);
});

/** RFC 4180, one cell. */
function read(text: string): string {
  return text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text;
}

it('any text comes back, but for the apostrophe, and none begins a formula', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (value) => {
      const back = read(cell(value));
      expect([value, `'${value}`]).toContain(back);
      expect(back).not.toMatch(/^[=+\-@\t\r\n]/);
    }),
  );
});
