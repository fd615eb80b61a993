import type { Finding } from '../../ledger/verify.ts';
import { addCount, addRun, DIGEST_COLUMNS, differing, emptyDigest, newSecret } from '../sql/count-digest.ts';
import { strayRuns, unknownCube, wrongCounts } from '../sql/verify-counts.ts';
import { wrongSpans } from '../sql/verify-spans.ts';
import type { Query } from './database.ts';
import { stream } from './stream.ts';
import { walkWith } from './walk.ts';

/** Whether counts and spans are those of the runs, and each narrow run, of which `known` belong to runs, is one of them. */
export async function checkCounts(
  query: Query,
  known: number,
  found: (finding: Finding) => void,
): Promise<void> {
  const [narrow] = await query<{ runs: number }>('SELECT count(*) AS runs FROM narrow_runs');
  if (narrow!.runs !== known) for (const finding of await walkWith(query, strayRuns())) found(finding);
  const secret = newSecret();
  const [stored, right] = [emptyDigest(), emptyDigest()];
  const strangers = new Set<number>();
  const counts = 'SELECT array_to_json(ARRAY[cube, a, b, c, slot, state, runs]) AS row FROM run_counts';
  for await (const { row } of stream<Numbers>(query, 'all_counts', counts)) {
    if (!addCount(stored, secret, row)) strangers.add(row[0]!);
  }
  for (const id of strangers) found(unknownCube(id));
  const runs = `SELECT array_to_json(ARRAY[${DIGEST_COLUMNS.join(', ')}]) AS row FROM narrow_runs
    WHERE start >= 0 AND start < ledger_counted_until()`;
  for await (const { row } of stream<Numbers>(query, 'all_narrow', runs)) addRun(right, secret, row);
  for (const cube of differing(stored, right)) {
    for (const finding of await walkWith(query, wrongCounts(cube))) found(finding);
  }
  for (const finding of await walkWith(query, wrongSpans())) found(finding);
}

interface Numbers {
  row: number[];
}
