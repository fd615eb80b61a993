import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url);
const rows = readFileSync(new URL('src/POLYCRATE.md', ROOT), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (?:rule|---)/.test(line))
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()));

it('every rule has a test that exists under that name, or says why it is left out', () => {
  expect(rows.length).toBeGreaterThan(50);
  for (const [, rule, here, shown] of rows) {
    const [, file, name] = /^`(test\/[^`]+)`: (.+)$/.exec(shown!) ?? [];
    if (file === undefined) expect({ rule, here }).toEqual({ rule, here: expect.stringMatching(/^left out/) });
    else expect({ rule, there: existsSync(new URL(file, ROOT)) && tests(file).includes(name!) }).toEqual({ rule, there: true }); // prettier-ignore
  }
});

/** Text of a test file, in which names may be quoted either way. */
function tests(file: string): string {
  return readFileSync(new URL(file, ROOT), 'utf8').replaceAll("\\'", "'");
}
