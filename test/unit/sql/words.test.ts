import { expect, it } from 'vitest';
import type { Answer, Dialect } from '../../../src/adapters/sql/steps.ts';
import { MOST_LISTED, startsOf, wordsOf } from '../../../src/adapters/sql/words.ts';
import type { Where } from '../../../src/adapters/sql/where.ts';

const DIALECT: Dialect = {
  position: 'instr',
  spell: (text) => text,
  apart: '',
  numbers: { gathered: (column) => `all(${column})`, bound: 'numbers(?)' },
};

/** What becomes of the steps where the database answers this. */
function answered<T>(steps: Generator<unknown, T, Answer[]>, answer: (text: string) => Answer[]): T {
  let step = steps.next();
  while (!step.done) step = steps.next(answer((step.value as { text: string }).text));
  return step.value;
}

function words(terms: number): unknown {
  return answered(wordsOf('Ticket', DIALECT), (text) => (text.includes('AS terms') ? [{ terms, ids: 'ids' }] : []));
} // prettier-ignore

it('lists the words of runs where there are few, and looks for them anew where there are many', () => {
  expect(words(MOST_LISTED)).toEqual({
    clause: { text: '(c.said IN (numbers(?)))', values: ['ids'] },
    rare: true,
  });
  const many = "(c.said IN (SELECT id FROM terms WHERE kind = 'said' AND instr(value, ?) > 0))";
  expect(words(MOST_LISTED + 1)).toEqual({ clause: { text: many, values: ['ticket'] }, rare: false });
  expect(words(0)).toBeNull();
});

it('lists when runs began where these are few', () => {
  const where: Omit<Where, 'few'> = {
    possible: true,
    columns: new Map([['block', [7]]]),
    states: null,
    clauses: [{ text: 'c.said IN (numbers(?))', values: ['ids'] }],
    span: { since: 5, until: null },
  };
  const asked: string[] = [];
  const starts = (runs: number): unknown =>
    answered(startsOf(where, DIALECT), (text) => {
      asked.push(text);
      return [{ runs, starts: runs === 0 ? null : '5' }];
    });
  expect(starts(MOST_LISTED)).toEqual({ text: 'c.start IN (numbers(?))', values: ['5'] });
  expect(starts(MOST_LISTED + 1)).toBeNull();
  expect(starts(0)).toBeNull();
  expect(asked[0]).toContain('c.start >= 5 AND c.block IN (7) AND c.said IN (numbers(?))');
});
