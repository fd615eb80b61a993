import type { Database } from 'better-sqlite3';
import { AppError } from '../../shared/errors.ts';
import type { StoredEvent } from '../../ledger/chain.ts';
import {
  callsOf, countLosses, createPerson, erasedFacts, LOG_DIGEST, lossOf, runsOf, tombstoneOf, wordsOf, type EventLoss,
} from '../../ledger/erase.ts'; // prettier-ignore
import type { ErasureRequest, ErasureSurvey, OnUpkeep } from '../../ledger/upkeep.ts';
import { learnFrom, rowLoss, type RowLoss } from '../../ledger/erase-mirrored.ts';
import { rebuild, type PlainValue } from '../../ledger/verify-projection.ts';
import { mirroredRows, takeOutOfRows } from './erase-rows.ts';
import { forgetTerms } from './narrow-runs.ts';
import type { OpenLedger } from './open.ts';
import { createProjection, projector } from './projection.ts';

const PROGRESS_EVERY = 20_000;

export interface SyncErasure {
  isErased(name: string): boolean;
  survey(request: Pick<ErasureRequest, 'subject' | 'logs'>): ErasureSurvey;
  erase(request: ErasureRequest): ErasureSurvey;
}

/** What will go: the survey, and which values of which events. */
interface Search {
  survey: ErasureSurvey;
  losses: EventLoss[];
  rows: RowLoss[];
}

export function createErasure(open: OpenLedger, onProgress: OnUpkeep): SyncErasure {
  const { db, key } = open;
  const look = db.transaction((subject: string, logs: boolean) => search(db, { subject, logs }, onProgress));
  const erase = db.transaction((request: ErasureRequest): ErasureSurvey => {
    if (!open.writable) throw new AppError('ledger_unavailable', `nothing was erased: ${open.problem}`);
    const { survey, losses, rows } = search(db, request, onProgress);
    if (losses.length + rows.length === 0) return survey;
    takeOut(db, losses, onProgress);
    takeOutOfRows(db, rows);
    const { values, mirrored_values, events, runs, names } = survey;
    const logs = request.logs ? survey.requested.length : null;
    createProjection(db).chain({
      kind: 'person_erased',
      run_id: '',
      at: request.at,
      facts: erasedFacts({ values, mirrored_values, events, runs, logs }, names.map((name) => tombstoneOf(name, key))),
      private: request.by,
    });
    return survey;
  }); // prettier-ignore
  return {
    isErased: createIsErased(open),
    survey: ({ subject, logs }) => look.deferred(subject, logs).survey,
    erase(request) {
      // What is taken out is overwritten where it lay.
      db.pragma('secure_delete = ON');
      return erase.immediate(request);
    },
  };
}

function createIsErased({ db, key }: OpenLedger): (name: string) => boolean {
  const marked = isMarked(db);
  return (name) => marked(tombstoneOf(name, key));
}

/** Whether there is such a tombstone. */
export function isMarked(db: Database): (tombstone: string) => boolean {
  const marked = db
    .prepare(
      `SELECT 1 FROM events, json_each(facts, '$.tombstones') AS tombstone
       WHERE kind IN ('person_erased', 'ledger_pruned') AND tombstone.value = ? LIMIT 1`,
    )
    .pluck();
  return (tombstone) => marked.get(tombstone) !== undefined;
}

/** Two passes over all private values: first who the person is, then where they are named. */
function search(
  db: Database,
  { subject, logs }: Pick<ErasureRequest, 'subject' | 'logs'>,
  onProgress: OnUpkeep,
): Search {
  const person = createPerson(subject);
  for (const value of allValues(db, onProgress)) person.learn(value);
  for (const row of mirroredRows(db)) learnFrom(row, person);
  const named = new Set<number>();
  for (const value of allValues(db, onProgress)) if (person.isNamedIn(value)) named.add(value.seq);
  const values = db.prepare('SELECT name, value FROM event_private WHERE seq = ?');
  const runOf = db.prepare('SELECT run_id FROM events WHERE seq = ?').pluck();
  const requested = new Set<string>();
  const losses: EventLoss[] = [];
  for (const seq of named) {
    const { names, acted } = lossOf(values.all(seq) as PlainValue[], person);
    const run_id = (runOf.get(seq) as string | undefined) ?? '';
    if (acted && run_id !== '' && isRequest(db, seq)) requested.add(run_id);
    losses.push({ seq, run_id, names });
  }
  if (logs) losses.push(...digestsOf(db, requested));
  const rows: RowLoss[] = [];
  for (const row of mirroredRows(db)) {
    const loss = rowLoss(row, person);
    if (loss) rows.push(loss);
    if (loss?.acted) requested.add(loss.run_id);
  }
  const names = person.names();
  const facts = inFacts(db, names);
  return { survey: { names, requested: [...requested], facts, ...countLosses(losses, rows) }, losses, rows };
}

function* allValues(db: Database, onProgress: OnUpkeep): Generator<PlainValue & { seq: number }> {
  const [total, select] = [
    db.prepare('SELECT coalesce(max(seq), 0) FROM event_private').pluck().get() as number,
    db.prepare('SELECT seq, name, value FROM event_private ORDER BY seq'),
  ];
  let count = 0;
  for (const value of select.iterate() as IterableIterator<PlainValue & { seq: number }>) {
    if (++count % PROGRESS_EVERY === 0) onProgress({ step: 'values', done: value.seq, total });
    yield value;
  }
}

function isRequest(db: Database, seq: number): boolean {
  return db.prepare("SELECT 1 FROM events WHERE seq = ? AND kind = 'run_requested'").get(seq) !== undefined;
}

function digestsOf(db: Database, runs: ReadonlySet<string>): EventLoss[] {
  const select = db.prepare(
    `SELECT e.seq, e.run_id FROM events e JOIN event_private p ON p.seq = e.seq AND p.name = '${LOG_DIGEST}' WHERE e.run_id = ?`,
  );
  const found = [...runs].flatMap((run_id) => select.all(run_id) as { seq: number; run_id: string }[]);
  return found.map((event) => ({ ...event, names: [LOG_DIGEST] }));
}

/** How many events name the person where nothing can be taken out. */
function inFacts(db: Database, names: readonly string[]): number {
  const words = wordsOf(names);
  const select = db.prepare('SELECT facts FROM events UNION ALL SELECT facts FROM mirrored').pluck();
  const facts = select.iterate() as IterableIterator<string>;
  let count = 0;
  for (const text of facts) if (words.test(text)) count += 1;
  return count;
}

/** Events stay; values go, and every table that was derived from them is derived anew. */
function takeOut(db: Database, losses: EventLoss[], onProgress: OnUpkeep): void {
  const remove = db.prepare('DELETE FROM event_private WHERE seq = ? AND name = ?');
  // The scope of an idempotency key has the name of who used it.
  const forget = db.prepare('DELETE FROM requests WHERE run_id = ?');
  for (const { seq, names } of losses) for (const name of names) remove.run(seq, name);
  const call = db.prepare(
    'UPDATE calls SET subject = NULL, display = NULL, principal = NULL, client = NULL, arguments = NULL WHERE seq = ? AND position = ?',
  );
  for (const { seq, position } of callsOf(losses)) call.run(seq, position);
  const projection = createProjection(db);
  const events = db.prepare('SELECT * FROM events WHERE run_id = ? ORDER BY seq');
  const values = db.prepare('SELECT name, value FROM event_private WHERE seq = ?');
  const runs = runsOf(losses);
  let done = 0;
  for (const run_id of runs) {
    const parts = (events.all(run_id) as StoredEvent[]).map((event) => ({
      event,
      values: values.all(event.seq) as PlainValue[],
    }));
    const rebuilt = rebuild({ events: parts, mirrored: [] }, projector);
    if (rebuilt === null || rebuilt === 'impossible') throw notInOrder(run_id);
    projection.rewrite(rebuilt);
    forget.run(run_id);
    if (++done % 500 === 0) onProgress({ step: 'erasing', done, total: runs.length });
  }
  forgetTerms(db);
}

function notInOrder(run_id: string): AppError {
  return new AppError('ledger_unavailable', `nothing was erased: run ${run_id} cannot be rebuilt from its events`, {
    next: '`polycrate-mcp ledger verify` says what is wrong',
  });
} // prettier-ignore
