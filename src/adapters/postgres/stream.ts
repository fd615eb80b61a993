import type { Query } from './database.ts';

const PAGE = 2_000;

/** Rows of a statement in pages; `name` is the cursor's, ours and not from outside. */
export async function* stream<R extends object>(
  query: Query,
  name: string,
  statement: string,
): AsyncGenerator<R> {
  await query(`DECLARE ${name} NO SCROLL CURSOR FOR ${statement}`);
  for (;;) {
    const rows = await query<R>(`FETCH ${PAGE} FROM ${name}`);
    yield* rows;
    if (rows.length < PAGE) break;
  }
  await query(`CLOSE ${name}`);
}
