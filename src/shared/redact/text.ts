import { createOutputCleaner } from './output-cleaner.ts';
import type { Redactor } from './redactor.ts';

/** Text of any number of lines, cleaned and without secrets; a private key may span them. */
export function redactText(redactor: Redactor, text: string): string {
  if (text === '') return text;
  const clean = createOutputCleaner(redactor, () => undefined);
  return text
    .split('\n')
    .map((line) => clean(line, false))
    .join('\n');
}
