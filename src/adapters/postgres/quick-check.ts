import { checkPruned } from '../../ledger/verify-pruned.ts';
import { createPieceCheck, reportOf, type ChainState, type SoundPiece } from '../../ledger/sound-pieces.ts';
import { splitValues } from '../../ledger/joined-values.ts';
import { createLinkCheck, type Links } from '../../ledger/verify-links.ts';
import type { KnownState, Progress, VerifyReport, VerifyTask } from '../../ledger/verify.ts';
import type { Pruning } from '../../ledger/prune.ts';
import { checkCounts } from './check-counts.ts';
import { checkMirror } from './check-mirror.ts';
import { checkTrail } from './check-trail.ts';
import { missingTriggers } from './check-triggers.ts';
import type { Query } from './database.ts';
import { projector } from './projector.ts';
import { readPruned } from './prune.ts';
import { createRunReader, JOINED_EVENT, readValues, type JoinedEvent, type Range } from './stored-runs.ts';
import { stream } from './stream.ts';

const RUNS_IN_PIECE = 200;
const LINKS_AT_ONCE = 1_000;
interface Lane {
  query: Query;
  read: ReturnType<typeof createRunReader>;
}

type Job = (lane: Lane) => Promise<boolean>;

/** Starts work on further connections that see the same snapshot, and ends when all of it has. */
export type Beside = (work: (query: Query) => Promise<void>) => Promise<unknown>;

/**
 * Verifies a whole ledger in pieces, side by side. Null: something is wrong, and only the check from the first event to the
 * last tells what and where.
 */
export async function verifyInPieces(
  query: Query,
  { known }: Pick<VerifyTask, 'known'>,
  { beside, onProgress }: { beside: Beside; onProgress: (progress: Progress) => void },
): Promise<VerifyReport | null> {
  const division = await divide(query, known);
  if (!division) return null;
  const { last, bounds, pruning } = division;
  const pieces: SoundPiece[] = [];
  let state: ChainState | null = null;
  const take = (piece: SoundPiece | null): boolean => {
    if (piece) pieces.push(piece);
    const done = pieces.reduce((sum, { runs }) => sum + runs, 0);
    onProgress({ step: 'runs', done, total: (bounds.length + 1) * RUNS_IN_PIECE });
    return piece !== null;
  };
  const jobs: Job[] = [
    async ({ query }) => (state = await followLinks(query, { last, known, pruning })) !== null,
    async ({ query }) => (await missingTriggers(query)).length === 0,
    ({ query }) => areCountsSound(query),
    async ({ query }) => take(await checkOwnEvents(query)),
    ...[...bounds, null].map((upTo, index) => async ({ read }: Lane) => {
      return take(await checkPiece(read, { above: bounds[index - 1] ?? null, upTo }));
    }),
  ];
  const sound = await sideBySide(query, beside, jobs);
  return sound && state ? reportOf(pieces, { state, pruning }) : null;
}

/** False: a job said so, and those that had not begun were left out. */
async function sideBySide(query: Query, beside: Beside, jobs: Job[]): Promise<boolean> {
  let sound = true;
  const work = async (query: Query): Promise<void> => {
    const lane = { query, read: createRunReader(query) };
    try {
      for (let job = jobs.shift(); job && sound; job = jobs.shift()) sound = (await job(lane)) && sound;
    } catch (error) {
      sound = false;
      throw error;
    }
  };
  await Promise.all([work(query), beside(work)]);
  return sound;
}

/** How a ledger is divided. */
interface Division {
  last: number;
  /** Ids of runs: each is the upper bound of a piece, the last piece has none. */
  bounds: string[];
  pruning: Pruning | null;
}

/** Null: there are private values where no event is, or what is left of pruned runs is not in order. */
async function divide(query: Query, known: readonly KnownState[]): Promise<Division | null> {
  const pruned = await readPruned(query);
  let sound = true;
  checkPruned(pruned, known, () => (sound = false));
  const [found] = await query<{ last: number; strays: number }>(
    `SELECT e.last, (SELECT count(*) FROM event_private WHERE seq <= $1 OR seq > e.last) AS strays
     FROM (SELECT coalesce(max(seq), 0) AS last FROM events) AS e`,
    [pruned.pruning?.size ?? 0],
  );
  if (!sound || found!.strays > 0) return null;
  const bounds = await query<{ id: string }>(
    'SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM runs) AS r WHERE n % $1 = 0 ORDER BY id',
    [RUNS_IN_PIECE],
  );
  return { last: found!.last, bounds: bounds.map(({ id }) => id), pruning: pruned.pruning };
}

/** Null: the events do not follow each other, or do not pass through a known state. */
async function followLinks(
  query: Query,
  { last, known, pruning }: { last: number; known: readonly KnownState[]; pruning: Pruning | null },
): Promise<ChainState | null> {
  const check = createLinkCheck(known, pruning);
  const page = async (after: number | string): Promise<Links> => {
    const [links] = await query<Links & object>(
      `SELECT count(*) AS events, min(seq) AS first, max(seq) AS last, string_agg(prev, '' ORDER BY seq) AS prevs,
         string_agg(hash, '' ORDER BY seq) AS hashes
       FROM (SELECT seq, prev, hash FROM events WHERE seq > $1 ORDER BY seq LIMIT ${LINKS_AT_ONCE}) AS e`,
      [after],
    );
    return links!;
  };
  // From wherever they begin, so that none lies before the first.
  for (let links = await page(LEAST); links.events > 0; links = await page(links.last)) {
    if (!check.add(links)) return null;
  }
  const state = check.end();
  return state?.size === last ? state : null;
}

/** Below any number that a `bigint` can be. */
const LEAST = '-9223372036854775808';

async function areCountsSound(query: Query): Promise<boolean> {
  const [runs] = await query<{ count: number }>('SELECT count(*) AS count FROM runs');
  let sound = true;
  await checkCounts(query, runs!.count, () => (sound = false));
  return sound;
}

/** The events that are about no run, and what is made of them. Null: as for a piece. */
async function checkOwnEvents(query: Query): Promise<SoundPiece | null> {
  const check = createPieceCheck(projector);
  let sound = true;
  const own = `SELECT ${JOINED_EVENT} FROM events e WHERE e.run_id = '' ORDER BY e.seq`;
  for await (const event of stream<JoinedEvent>(query, 'own_events', own)) {
    const values = splitValues(event.joined) ?? (await readValues(query, event));
    sound &&= check.isSoundEvent(event, values);
  }
  const found = (): void => void (sound = false);
  await checkTrail(query, 0, { stream, found });
  await checkMirror(query, 0, { stream, found });
  return sound ? check.result() : null;
}

/** Null: an event is not what was hashed, or a table not what the events say. */
async function checkPiece(
  read: ReturnType<typeof createRunReader>,
  range: Range,
): Promise<SoundPiece | null> {
  const check = createPieceCheck(projector);
  for (const run of await read(range)) if (!check.isSoundRun(run)) return null;
  return check.result();
}
