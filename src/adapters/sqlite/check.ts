import type { Database } from 'better-sqlite3';
import type { StoredEvent, StoredValue } from '../../ledger/chain.ts';
import {
  createCollector,
  type Erased,
  type Finding,
  type Progress,
  type VerifyReport,
  type VerifyTask,
} from '../../ledger/verify.ts';
import type { Pruning } from '../../ledger/prune.ts';
import { beginningOf, checkPruned } from '../../ledger/verify-pruned.ts';
import { createChainCheck } from '../../ledger/verify-chain.ts';
import { checkRun } from '../../ledger/verify-projection.ts';
import { checkMirror } from './check-mirror.ts';
import { TOTAL_RUNS } from '../sql/cubes.ts';
import { checkCounts } from './check-counts.ts';
import { checkTrail } from './check-trail.ts';
import { projector } from './projection.ts';
import { readPruned } from './prune.ts';
import { missingTriggers } from './schema.ts';
import { createRunReader, type RunScope } from './stored-runs.ts';

const EVENT_COLUMNS = 'seq, at, kind, run_id, facts, commitments, prev, hash';
const PROGRESS_EVERY = 5_000;

type OnProgress = (progress: Progress) => void;

/**
 * Reads the whole ledger, or what came after `from`, in one snapshot while others go on writing. Memory does not
 * grow with the ledger.
 */
export function verify(db: Database, task: VerifyTask, onProgress: OnProgress): VerifyReport {
  const check = db.transaction((): VerifyReport => {
    const findings = createCollector<Finding>();
    const erased = createCollector<Erased>();
    const pruned = readPruned(db);
    const { pruning } = pruned;
    const from = beginningOf(task.from, pruning);
    const parts = { db, task: { ...task, from }, pruning, found: findings.add, onProgress };
    if (!from) checkFile(parts);
    checkPruned(pruned, task.known, findings.add);
    const chain = checkEvents(parts, erased.add);
    const { runs, narrow } = checkRuns(parts);
    // What was counted is about all runs, so it is looked at when all are.
    if (!from) checkCounts(db, narrow, parts.found);
    checkTrail(db, from?.size ?? 0, parts.found);
    checkMirror(db, from?.size ?? 0, parts.found);
    return {
      ...chain.state,
      checked: { events: chain.events, runs, private_values: chain.private_values },
      findings: findings.list,
      findings_total: findings.total(),
      erased: erased.list,
      erased_total: erased.total(),
      pruning,
      from: from?.size ?? 0,
    };
  });
  return check.deferred();
}

interface Parts {
  db: Database;
  task: VerifyTask;
  pruning: Pruning | null;
  found: (finding: Finding) => void;
  onProgress: OnProgress;
}

/** SQLite's own check: indexes that hide rows, damaged pages. And the triggers that refuse changes. */
export function checkFile({ db, found, onProgress }: Pick<Parts, 'db' | 'found' | 'onProgress'>): void {
  onProgress({ step: 'file', done: 0, total: 1 });
  const problems = db.pragma('integrity_check(20)') as { integrity_check: string }[];
  for (const { integrity_check: problem } of problems) {
    if (problem !== 'ok') found({ fault: 'storage', says: `the file is damaged: ${problem}` });
  }
  for (const name of missingTriggers(db)) {
    found({ fault: 'storage', says: `the trigger ${name}, which refuses changes of events, is gone` });
  }
}

function checkEvents(
  { db, task, pruning, found, onProgress }: Parts,
  erased: (erased: Erased) => void,
): {
  state: Pick<VerifyReport, 'size' | 'head' | 'root' | 'frontier'>;
  events: number;
  private_values: number;
} {
  const { from, known } = task;
  const after = from?.size ?? null;
  const last = lastSeq(db);
  const chain = createChainCheck({ from: from ?? pruning, known, found, erased });
  if (from && from.size > 0) chain.start(eventAt(db, from.size), last);
  const values = peekable(valuesAfter(db, after));
  const counts = { events: 0, private_values: 0 };
  for (const event of eventsAfter(db, after)) {
    const own: StoredValue[] = [];
    for (let next = values.peek(); next && next.seq <= event.seq; next = values.peek()) {
      counts.private_values += 1;
      if (next.seq === event.seq) own.push(next);
      else chain.stray(next);
      values.skip();
    }
    chain.event(event, own);
    counts.events += 1;
    if (counts.events % PROGRESS_EVERY === 0) onProgress({ step: 'events', done: event.seq, total: last });
  }
  for (let next = values.peek(); next; next = values.peek()) {
    chain.stray(next);
    values.skip();
  }
  return { state: chain.end(), ...counts };
}

/** Rebuilds each run, and each that a table names although no event does. Answers how many there were. */
function checkRuns({ db, task, found, onProgress }: Parts): { runs: number; narrow: number } {
  const after = task.from?.size ?? 0;
  const total = (db.prepare(`SELECT ${TOTAL_RUNS}`).pluck().get() as number) || 1;
  let [done, narrow] = [0, 0];
  for (const run of createRunReader(db)(after === 0 ? EVERY_RUN : { after })) {
    checkRun(run, projector, found);
    done += 1;
    if (run.narrow) narrow += 1;
    if (done % PROGRESS_EVERY === 0) onProgress({ step: 'runs', done, total });
  }
  return { runs: done, narrow };
}

const EVERY_RUN: RunScope = { above: null, upTo: null };

function lastSeq(db: Database): number {
  return db.prepare('SELECT coalesce(max(seq), 0) FROM events').pluck().get() as number;
}

function eventAt(db: Database, seq: number): StoredEvent | null {
  const row = db.prepare(`SELECT ${EVENT_COLUMNS} FROM events WHERE seq = ?`).get(seq);
  return (row as StoredEvent | undefined) ?? null;
}

/** Null: all of them, also such as lie where no event can be. */
function eventsAfter(db: Database, seq: number | null): IterableIterator<StoredEvent> {
  const where = seq === null ? '' : `WHERE seq > ${seq}`;
  const select = db.prepare(`SELECT ${EVENT_COLUMNS} FROM events ${where} ORDER BY seq`);
  return select.iterate() as IterableIterator<StoredEvent>;
}

function valuesAfter(db: Database, seq: number | null): IterableIterator<StoredValue> {
  const where = seq === null ? '' : `WHERE seq > ${seq}`;
  const select = db.prepare(`SELECT seq, name, salt, value FROM event_private ${where} ORDER BY seq, name`);
  return select.iterate() as IterableIterator<StoredValue>;
}

interface Peekable<T> {
  peek(): T | null;
  skip(): void;
}

function peekable<T>(items: Iterator<T>): Peekable<T> {
  const next = (): T | null => {
    const { value, done } = items.next() as IteratorResult<T, undefined>;
    return done ? null : value;
  };
  let head = next();
  return {
    peek: () => head,
    skip() {
      head = next();
    },
  };
}
