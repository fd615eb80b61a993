import type { Cell } from '../../runs/row.ts';
import { NARROW_COLUMNS, TERM_COLUMNS } from './narrow.ts';

export interface Term {
  kind: string;
  value: string;
}

/** Terms that are remembered; there may be more than memory should hold. */
export const MOST_TERMS = 50_000;

const TERMS = TERM_COLUMNS.map((column) => [NARROW_COLUMNS.indexOf(column), column] as const);
const SAID = NARROW_COLUMNS.indexOf('said');

/** Reads the words of a run, which hardly any other has, beside the columns of `narrow_runs` under the name `c`. */
export const WORDS = "LEFT JOIN terms s ON s.id = c.said AND s.kind = 'said'";

/** Numbers of terms in a row as `decoded` takes it, but for the words. */
export function termsIn(row: readonly Cell[]): number[] {
  return TERMS.filter(([place]) => place !== SAID).map(([place]) => row[place] as number);
}

/**
 * Puts the texts of terms in the place of their numbers, in a row with the columns of a narrow run and behind them its words;
 * null where there is no such term of that kind.
 */
export function decoded(row: readonly Cell[], termOf: (id: number) => Term | undefined): Cell[] {
  const cells = row.slice(0, NARROW_COLUMNS.length);
  for (const [place, column] of TERMS) {
    const id = row[place] as number;
    const term = id === 0 || place === SAID ? undefined : termOf(id);
    // What has a number but no term is not what has none.
    cells[place] = id === 0 ? null : term?.kind === column ? term.value : id;
  }
  if (row[SAID] !== 0) cells[SAID] = row[NARROW_COLUMNS.length] ?? row[SAID]!;
  return cells;
}
