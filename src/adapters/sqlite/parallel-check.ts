import { availableParallelism } from 'node:os';
import type { Progress, VerifyReport, VerifyTask } from '../../ledger/verify.ts';
import { reportOf, type ChainState, type SoundPiece } from '../../ledger/sound-pieces.ts';
import type { Division } from './quick-check.ts';
import type { Rpc } from './rpc.ts';

/** So few that what is read for a piece dies young: larger ones cost a third more in collecting garbage. */
const RUNS_IN_PIECE = 400;
/** What a thread learned of terms serves so many. */
const PIECES_AT_ONCE = 10;
/** More threads than this wait for the same file. */
const MOST_THREADS = 8;

export function verifyThreads(): number {
  return Math.min(MOST_THREADS, availableParallelism());
}

/**
 * Verifies a whole ledger in pieces, side by side. Null: something is wrong, and only the check from the first event
 * to the last tells what and where. Each piece is read in a snapshot of its own, younger than the one that says
 * where the chain ends: a run and its events are always from one and the same.
 */
export async function verifySideBySide(
  threads: readonly Rpc[],
  { known }: Pick<VerifyTask, 'known'>,
  onProgress: (progress: Progress) => void,
  runs_in_piece = RUNS_IN_PIECE,
): Promise<VerifyReport | null> {
  const division = await threads[0]!.call<Division | null>('divide', { known, runs_in_piece });
  if (!division) return null;
  const { last, bounds, pruning } = division;
  const pieces: SoundPiece[] = [];
  let state: ChainState | null = null;
  let sound = true;
  const judge = (result: unknown): void => {
    if (result === null || result === false) sound = false;
  };
  const tell = (): void => {
    const done = pieces.reduce((sum, { runs }) => sum + runs, 0);
    onProgress({ step: 'runs', done, total: (bounds.length + 1) * runs_in_piece });
  };
  const take = (piece: SoundPiece | null): void => {
    judge(piece);
    if (piece) pieces.push(piece);
    tell();
  };
  const jobs: ((thread: Rpc) => Promise<void>)[] = [
    async (thread) =>
      judge((state = await thread.call<ChainState | null>('followLinks', { last, known, pruning }))),
    async (thread) => judge(await thread.call<boolean>('isSoundFile')),
    async (thread) => judge(await thread.call<boolean>('areCountsSound')),
    async (thread) => take(await thread.call('checkOwnEvents')),
    ...consecutive([null, ...bounds, null]).map((own) => async (thread: Rpc) => {
      take(await thread.call('checkPieces', own));
    }),
  ];
  await Promise.all(
    threads.map(async (thread) => {
      for (let job = jobs.shift(); job && sound; job = jobs.shift()) await job(thread);
    }),
  );
  return sound && state ? reportOf(pieces, { state, pruning }) : null;
}

/** As they are given to a thread: each part begins with the bound that the one before ends with. */
function consecutive(bounds: readonly (string | null)[]): (string | null)[][] {
  const parts: (string | null)[][] = [];
  for (let at = 0; at < bounds.length - 1; at += PIECES_AT_ONCE) {
    parts.push(bounds.slice(at, at + PIECES_AT_ONCE + 1));
  }
  return parts;
}
