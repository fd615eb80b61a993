import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { envExample, settingsTable } from '../../src/config.ts';
import { tools } from '../../src/tools/index.ts';

const README = new URL('../../README.md', import.meta.url);
const ENV_EXAMPLE = new URL('../../.env.example', import.meta.url);
const BEGIN = '<!-- settings: generated from src/config/settings.ts -->';
const END = '<!-- /settings -->';

const ADVICE = 'update it with: UPDATE_DOCS=1 npx vitest run test/guards/docs.test.ts';

/** Fails where the file differs from what the settings say; with UPDATE_DOCS=1 it writes the file instead. */
function holds(file: URL, expected: string): void {
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, expected);
  expect(readFileSync(file, 'utf8'), ADVICE).toBe(expected);
}

it('the README has the table of settings', () => {
  const text = readFileSync(README, 'utf8');
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  expect(begin, `README.md needs the line ${BEGIN}`).toBeGreaterThan(-1);
  expect(end, `README.md needs the line ${END} after the table`).toBeGreaterThan(begin);
  holds(README, `${text.slice(0, begin)}${BEGIN}\n\n${settingsTable()}\n\n${text.slice(end)}`);
});

it('the README names every tool', () => {
  const [, text = ''] = /^## Tools$(.*?)^## /ms.exec(readFileSync(README, 'utf8'))!;
  const named = [...text.matchAll(/^\| `([a-z_]+)` +\|/gm)].map(([, name]) => name!);
  expect(named.sort()).toEqual(tools.map(({ name }) => name).sort());
});

it('.env.example lists the settings', () => {
  holds(ENV_EXAMPLE, envExample());
});
