import type { Answer, Steps } from '../sql/steps.ts';
import type { Query } from './database.ts';

/** Runs the statements of an answer, one after the other, on a connection that sees one moment. */
export async function walkWith<T>(query: Query, steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (!step.done) {
    const { text, values } = step.value;
    step = steps.next(await query<Answer>(numbered(text), values));
  }
  return step.value;
}

/** The marks of a statement as PostgreSQL has them; none of ours is within a text. */
function numbered(text: string): string {
  let n = 0;
  return text.replace(/\?/g, () => `$${++n}`);
}
