import type { Database } from 'better-sqlite3';
import type { Answer, Steps } from '../sql/steps.ts';
import { createStatements, type Statements } from './statements.ts';

/** Runs the statements of an answer, one after the other; callers hold the transaction. */
export function walk<T>(db: Database, steps: Steps<T>, statements: Statements = createStatements(db)): T {
  let step = steps.next();
  while (!step.done) {
    const { text, values } = step.value;
    step = steps.next(statements(text).all(values) as Answer[]);
  }
  return step.value;
}
