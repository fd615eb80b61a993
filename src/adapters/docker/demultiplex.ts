import { type Stream } from '../../runs/executor.ts';

/** Receives the payload of frames in order; a long frame may come in several pieces. */
export type FrameSink = (stream: Stream, bytes: Uint8Array) => void;

const HEADER = 8;

/**
 * Splits the engine's multiplexed output (per frame: stream number, three zero bytes, length as big-endian
 * uint32, payload). Chunks may break anywhere; payload is handed on as views, never copied.
 */
export function createDemultiplexer(emit: FrameSink): (chunk: Uint8Array) => void {
  const header = new Uint8Array(HEADER);
  const lengthOf = new DataView(header.buffer);
  let have = 0;
  let left = 0;

  return (chunk) => {
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const taken = Math.min(HEADER - have, chunk.length - at);
        header.set(chunk.subarray(at, at + taken), have);
        have += taken;
        at += taken;
        if (have < HEADER) return;
        left = lengthOf.getUint32(4);
        if (left === 0) have = 0;
        continue;
      }
      const end = Math.min(at + left, chunk.length);
      emit(header[0] === 2 ? 'stderr' : 'stdout', chunk.subarray(at, end));
      left -= end - at;
      at = end;
      if (left === 0) have = 0;
    }
  };
}
