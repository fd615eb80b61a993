import { lossOf, type Person } from './erase.ts';
import { plainValues, valuesOf, without, type MirroredRow } from './mirrored-row.ts';

type PrivateRow = Pick<MirroredRow, 'seq' | 'position' | 'run_id' | 'private'>;

/** What one mirrored row loses with a person, and what its column `private` is afterwards. */
export interface RowLoss extends PrivateRow {
  names: string[];
  /** The person asked for the run. */
  acted: boolean;
}

/** First pass: the other names of the person. */
export function learnFrom(row: PrivateRow, person: Pick<Person, 'learn'>): void {
  for (const value of plainValues(valuesOf(row))) person.learn(value);
}

/** Second pass. Null: the row names somebody else, or nobody. */
export function rowLoss(row: PrivateRow, person: Pick<Person, 'isNamedIn'>): RowLoss | null {
  const values = plainValues(valuesOf(row));
  if (!values.some((value) => person.isNamedIn(value))) return null;
  const { names, acted } = lossOf(values, person);
  const { seq, position, run_id } = row;
  return { seq, position, run_id, names, acted, private: without(row.private, names) };
}
