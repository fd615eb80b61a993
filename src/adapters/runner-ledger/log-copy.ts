import { PIECE_CHARACTERS } from '../../runners/protocol.ts';
import type { LogPieces, PieceSize } from '../../runs/run-log.ts';
import type { Wire } from './wire.ts';

/** The copy of one log at the server. */
export interface LogCopy {
  /** One after the other; resolves when the server has all that was there when it was asked for. */
  send(): Promise<void>;
}

interface CopyParts {
  wire: Pick<Wire, 'call'>;
  pieces: LogPieces;
}

/** What the server has is asked for at first, and again after a failure: then it may be anything. */
export function createLogCopy({ wire, pieces }: CopyParts, run_id: string): LogCopy {
  let there: Map<number, number> | null = null;
  let last: Promise<void> = Promise.resolve();

  /** Bytes of its pieces that are those of ours, or of ones that left here meanwhile; what is another log's leaves there. */
  const compared = async (ours: readonly PieceSize[]): Promise<Map<number, number>> => {
    const newest = Math.max(...ours.map(({ piece }) => piece));
    const same = new Map<number, number>();
    for (const { piece, bytes, sha256 } of await wire.call('logs/pieces', { run_id })) {
      const own = piece <= newest ? await pieces.digest(run_id, { piece, bytes }) : '';
      if (own === null || own === sha256) same.set(piece, bytes);
      else await wire.call('logs/drop', { run_id, piece });
    }
    return same;
  };
  const sendPiece = async (known: Map<number, number>, piece: number): Promise<void> => {
    for (;;) {
      const offset = known.get(piece) ?? 0;
      const text = await pieces.read(run_id, { piece, offset }, PIECE_CHARACTERS);
      if (text === '') return;
      const bytes = await wire.call('logs/write', { run_id, piece, offset, text });
      if (bytes !== offset + Buffer.byteLength(text))
        throw new Error('the server has another copy of the log');
      known.set(piece, bytes);
    }
  };
  const sendAll = async (): Promise<void> => {
    const sizes = await pieces.sizes(run_id);
    if (sizes.length === 0) return;
    const known = (there ??= await compared(sizes));
    for (const { piece } of sizes) await sendPiece(known, piece);
    // Afterwards, and only what something newer is there of: the log never becomes shorter for whoever reads it meanwhile.
    const newest = Math.max(...sizes.map(({ piece }) => piece).filter((piece) => known.has(piece)));
    for (const piece of [...known.keys()]) {
      if (piece >= newest || sizes.some((one) => one.piece === piece)) continue;
      await wire.call('logs/drop', { run_id, piece });
      known.delete(piece);
    }
  };
  return {
    send() {
      const own = last.catch(() => undefined).then(sendAll);
      last = own;
      own.catch(() => (there = null));
      return own;
    },
  };
}
