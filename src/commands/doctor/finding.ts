import { styleText } from 'node:util';
import { count } from '../count.ts';

/** `problem`: something will not work. `warning`: it works, but perhaps not as meant. */
export type Mark = 'ok' | 'warning' | 'problem';

/** One thing that was looked at, and what mends it. */
export interface Finding {
  mark: Mark;
  text: string;
  details?: readonly string[];
  fix?: string;
}

export const ok = (text: string, details?: readonly string[]): Finding => ({
  mark: 'ok',
  text,
  ...(details && { details }),
});

export const warning = (text: string, help: Pick<Finding, 'details' | 'fix'> = {}): Finding => ({
  mark: 'warning',
  text,
  ...help,
});

export const problem = (text: string, help: Pick<Finding, 'details' | 'fix'> = {}): Finding => ({
  mark: 'problem',
  text,
  ...help,
});

const COLOUR = { ok: 'green', warning: 'yellow', problem: 'red' } as const;
const MARK_WIDTH = 9;

/** Pure: one finding as text, its mark in words. */
export function renderFinding({ mark, text, details = [], fix }: Finding, colours: boolean): string {
  const word = mark.padEnd(MARK_WIDTH);
  const rest = [...details, ...(fix ? [`fix: ${fix}`] : [])].map(
    (line) => `${' '.repeat(MARK_WIDTH)}${line}`,
  );
  return `${[`${colours ? styleText(COLOUR[mark], word) : word}${text}`, ...rest].join('\n')}\n`;
}

/** Pure: the last line. */
export function renderSummary(findings: readonly Finding[]): string {
  const count = (mark: Mark): number => findings.filter((finding) => finding.mark === mark).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  if (problems + warnings === 0) return 'Everything is well.\n';
  const parts = [plural(problems, 'problem'), plural(warnings, 'warning')].filter((part) => part !== null);
  return `${parts.join(', ')}.\n`;
}

export function plural(n: number, word: string): string | null {
  return n === 0 ? null : count(n, word);
}
