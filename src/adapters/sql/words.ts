import { fold } from './narrow.ts';
import { ask, list, type Dialect, type Steps } from './steps.ts';
import { chosen, conditionsOf, membersOf, type Clause, type Where } from './where.ts';

/** Of more words, or of more runs, than this no list is made. */
export const MOST_LISTED = 50_000;

interface Words {
  clause: Clause;
  /** Only the words of a run have them, and no more than can be listed. */
  rare: boolean;
}

/** Where these words are in the names of a run, or in its own words; null: nowhere. */
export function* wordsOf(text: string, dialect: Dialect): Steps<Words | null> {
  const wanted = fold(text, dialect.spell);
  const has = (value: string): boolean => value.toLowerCase().includes(wanted);
  const numbers = {
    block: yield* chosen('block', has),
    action: yield* chosen('action', has),
    place: yield* chosen('place', (value) => has(membersOf(value)[1]!)),
  };
  const choices = Object.entries(numbers).flatMap(([column, found]) => (found.length > 0 ? [`c.${column} IN (${list(found)})`] : []));
  const { terms, clause } = yield* saidOf(wanted, dialect);
  if (choices.length + terms === 0) return null;
  if (terms > 0) choices.push(clause.text);
  return {
    clause: { text: `(${choices.join(' OR ')})`, values: terms > 0 ? clause.values : [] },
    rare: choices.length === 1 && terms > 0 && terms <= MOST_LISTED,
  };
} // prettier-ignore

/** Looked for once, and not again for the count, the page and each part of time. */
function* saidOf(wanted: string, { position, numbers }: Dialect): Steps<{ terms: number; clause: Clause }> {
  const said = `FROM terms WHERE kind = 'said' AND ${position}(value, ?) > 0`;
  const [found] = yield* ask<{ terms: number; ids: string }>(`SELECT count(*) AS terms, ${numbers.gathered('id')} AS ids ${said}`, [wanted]);
  const { terms, ids } = found!;
  const listed = { text: `c.said IN (${numbers.bound})`, values: [ids] };
  return { terms, clause: terms > MOST_LISTED ? { text: `c.said IN (SELECT id ${said})`, values: [wanted] } : listed };
} // prettier-ignore

/** When the runs began that a question is about, which leads to them; null: there are too many. */
export function* startsOf(where: Omit<Where, 'few'>, { numbers }: Dialect): Steps<Clause | null> {
  const { text, values } = conditionsOf(where);
  const { since, until } = where.span;
  const from = since === null ? '' : ` AND c.start >= ${list([since])}`;
  const to = until === null ? '' : ` AND c.start < ${list([until])}`;
  const [found] = yield* ask<{ runs: number; starts: string | null }>(
    `SELECT count(*) AS runs, ${numbers.gathered('c.start')} AS starts FROM narrow_runs c WHERE true${from}${to}${text}`,
    values,
  );
  const { runs, starts } = found!;
  // Of no rows PostgreSQL makes no text.
  return runs > MOST_LISTED || starts === null ? null : { text: `c.start IN (${numbers.bound})`, values: [starts] };
} // prettier-ignore
