import type { Database } from 'better-sqlite3';
import type { Finding } from '../../ledger/verify.ts';
import {
  addCount, addRun, DIGEST_COLUMNS, differing, emptyDigest, newSecret, type CountDigest, type Secret,
} from '../sql/count-digest.ts'; // prettier-ignore
import { COUNTED_UNTIL } from '../sql/cubes.ts';
import { strayRuns, unknownCube, wrongCounts } from '../sql/verify-counts.ts';
import { wrongSpans } from '../sql/verify-spans.ts';
import { walk } from './walk.ts';

/** Whether counts and spans are those of the runs, and each narrow run, of which `known` belong to runs, is one of them. */
export function checkCounts(db: Database, known: number, found: (finding: Finding) => void): void {
  const narrow = db.prepare('SELECT count(*) FROM narrow_runs').pluck().get() as number;
  if (narrow !== known) for (const finding of walk(db, strayRuns())) found(finding);
  const secret = newSecret();
  const stored = digestOfCounts(db, secret);
  for (const id of stored.strangers) found(unknownCube(id));
  const right = digestOfRuns(db, { secret, since: 0, until: countedUntil(db) });
  for (const cube of differing(stored.digest, right)) {
    for (const finding of walk(db, wrongCounts(cube))) found(finding);
  }
  for (const finding of walk(db, wrongSpans())) found(finding);
}

export function countedUntil(db: Database): number {
  return Number(db.prepare('SELECT value FROM meta WHERE name = ?').pluck().get(COUNTED_UNTIL) ?? 0);
}

export function digestOfRuns(
  db: Database,
  { secret, since, until }: { secret: Secret; since: number; until: number },
): CountDigest {
  const digest = emptyDigest();
  const select = db
    .prepare(`SELECT ${DIGEST_COLUMNS.join(', ')} FROM narrow_runs WHERE start >= ? AND start < ?`)
    .raw();
  for (const run of select.iterate(since, until)) addRun(digest, secret, run as number[]);
  return digest;
}

export function digestOfCounts(db: Database, secret: Secret): { digest: CountDigest; strangers: number[] } {
  const digest = emptyDigest();
  const strangers = new Set<number>();
  const select = db.prepare('SELECT cube, a, b, c, slot, state, runs FROM run_counts').raw();
  for (const row of select.iterate() as IterableIterator<number[]>) {
    if (!addCount(digest, secret, row)) strangers.add(row[0]!);
  }
  return { digest, strangers: [...strangers] };
}
