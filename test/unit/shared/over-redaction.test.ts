import { expect, it } from 'vitest';
import { createOutputCleaner } from '../../../src/shared/redact/output-cleaner.ts';
import { createRedactor } from '../../../src/shared/redact/redactor.ts';
import { MASK } from '../../../src/shared/secrets.ts';
import { ordinaryOutput } from '../../support/ordinary-output.ts';

const LINES = 20_000;
/** Of the lines without a secret, this share may be altered at the most. */
const ALLOWED = 0.001;
/** Values as careless as they come: most of them words that every log is full of. */
const VALUES = [
  'production',
  'postgres',
  'password',
  'true',
  '12345678',
  'admin',
  'changeme',
  'Sommer2026!',
  'kX9-vT2pQ8mLw4',
];

it(`ordinary output stays as it is: at most ${ALLOWED * 100} % of its lines are altered`, () => {
  const clean = createOutputCleaner(createRedactor(VALUES), () => undefined);
  const altered = ordinaryOutput(LINES).flatMap((line) => {
    const cleaned = clean(line, false);
    return cleaned === line ? [] : [cleaned];
  });
  process.stdout.write(`over-redaction: ${altered.length} of ${LINES} ordinary lines (${((altered.length / LINES) * 100).toFixed(3)} %)\n`); // prettier-ignore
  expect(altered.length / LINES, altered.slice(0, 20).join('\n')).toBeLessThanOrEqual(ALLOWED);
});

it('the same corpus with secrets in it loses those and nothing else', () => {
  const clean = createOutputCleaner(createRedactor(VALUES), () => undefined);
  for (const line of ordinaryOutput(2_000)) {
    const plain = clean(line, false);
    expect(clean(`${line} kX9-vT2pQ8mLw4`, false)).toBe(`${plain} ${MASK}`);
  }
});
