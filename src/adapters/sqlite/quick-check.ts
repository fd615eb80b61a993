import type { Database } from 'better-sqlite3';
import type { StoredEvent } from '../../ledger/chain.ts';
import type { KnownState } from '../../ledger/verify.ts';
import type { SealedValue } from '../../ledger/sound-event.ts';
import { createPieceCheck, type ChainState, type SoundPiece } from '../../ledger/sound-pieces.ts';
import type { Pruning } from '../../ledger/prune.ts';
import { createLinkCheck, type Links } from '../../ledger/verify-links.ts';
import { checkPruned } from '../../ledger/verify-pruned.ts';
import { checkFile } from './check.ts';
import { checkMirror } from './check-mirror.ts';
import { checkCounts } from './check-counts.ts';
import { checkTrail } from './check-trail.ts';
import { readPruned } from './prune.ts';
import { projector } from './projection.ts';
import { createRunReader } from './stored-runs.ts';

// The parts of a verification that can be done side by side. They tell whether all is well, not what is wrong.

/** How a ledger is divided. */
export interface Division {
  /** Events up to this one are there; what comes later is not looked at. */
  last: number;
  /** Ids of runs: each is the upper bound of a piece, the last piece has none. */
  bounds: string[];
  /** How the beginning was cut off, null if it was not. */
  pruning: Pruning | null;
}

/** Whether the counts are those of the runs. In one snapshot: both change with each run that ends. */
export function areCountsSound(db: Database): boolean {
  return inSnapshot(db, () => {
    let sound = true;
    checkCounts(db, number(db, 'SELECT count(*) FROM runs'), () => (sound = false));
    return sound;
  });
}

/** Null: there are private values where no event is, or what is left of pruned runs is not in order. */
export function divide(
  db: Database,
  { known, runs_in_piece }: { known: readonly KnownState[]; runs_in_piece: number },
): Division | null {
  return inSnapshot(db, () => {
    const last = number(db, 'SELECT coalesce(max(seq), 0) FROM events');
    const pruned = readPruned(db);
    const before = pruned.pruning?.size ?? 0;
    const strays = number(db, `SELECT count(*) FROM event_private WHERE seq <= ${before}`);
    const beyond = number(db, 'SELECT coalesce(max(seq), 0) FROM event_private');
    if (strays > 0 || beyond > last) return null;
    let sound = true;
    checkPruned(pruned, known, () => (sound = false));
    if (!sound) return null;
    const bounds = db
      .prepare('SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM runs) WHERE n % ? = 0')
      .pluck()
      .all(runs_in_piece) as string[];
    return { last, bounds, pruning: pruned.pruning };
  });
}

export function isSoundFile(db: Database): boolean {
  let sound = true;
  checkFile({ db, found: () => (sound = false), onProgress: () => undefined });
  return sound;
}

/** Null: the events do not follow each other, or do not pass through a known state. */
export function followLinks(
  db: Database,
  { last, known, pruning }: { last: number; known: readonly KnownState[]; pruning: Pruning | null },
): ChainState | null {
  const page = db.prepare(
    `SELECT count(*) AS events, min(seq) AS first, max(seq) AS last, group_concat(prev, '') AS prevs, group_concat(hash, '') AS hashes
     FROM (SELECT seq, prev, hash FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${LINKS_AT_ONCE})`,
  );
  const check = createLinkCheck(known, pruning);
  // From wherever they begin, so that none lies before the first.
  let links = page.get(-Infinity, last) as Links;
  while (links.events > 0) {
    if (!check.add(links)) return null;
    links = page.get(links.last, last) as Links;
  }
  const state = check.end();
  return state?.size === last ? state : null;
}

const LINKS_AT_ONCE = 1_000;

/** The events that are about no run, and what is made of them. Null: as for a piece. */
export function checkOwnEvents(db: Database): SoundPiece | null {
  return inSnapshot(db, () => {
    const check = createPieceCheck(projector);
    const events = db.prepare("SELECT * FROM events WHERE run_id = '' ORDER BY seq");
    const values = db.prepare(
      "SELECT name, CASE typeof(salt) WHEN 'blob' THEN hex(salt) END AS salt, value FROM event_private WHERE seq = ? ORDER BY name",
    );
    for (const event of events.iterate() as IterableIterator<StoredEvent>) {
      if (!check.isSoundEvent(event, values.all(event.seq) as SealedValue[])) return null;
    }
    let sound = true;
    checkTrail(db, 0, () => (sound = false));
    checkMirror(db, 0, () => (sound = false));
    return sound ? check.result() : null;
  });
}

/**
 * Runs between each bound and the next, ids included in the piece that they end; null is open. Each piece is read in a
 * snapshot of its own. Null: an event is not what was hashed, or a table not what the events say.
 */
export function checkPieces(db: Database, bounds: readonly (string | null)[]): SoundPiece | null {
  const check = createPieceCheck(projector);
  const read = createRunReader(db);
  for (const [index, upTo] of bounds.slice(1).entries()) {
    const scope = { above: bounds[index]!, upTo };
    if (!inSnapshot(db, () => every(read(scope), check.isSoundRun))) return null;
  }
  return check.result();
}

function every<T>(items: Iterable<T>, holds: (item: T) => boolean): boolean {
  for (const item of items) if (!holds(item)) return false;
  return true;
}

function inSnapshot<T>(db: Database, read: () => T): T {
  return db.transaction(read).deferred();
}

function number(db: Database, question: string): number {
  return db.prepare(question).pluck().get() as number;
}
