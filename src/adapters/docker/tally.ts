import { type OutputSink, type Stream } from '../../runs/executor.ts';

/** So many first bytes of a stream tell whether a log that is read again still has its beginning. */
const HEAD = 256;

/** Hands bytes on; false: the sink wants a pause. */
export type ByteWriter = (stream: Stream, bytes: Uint8Array) => boolean;

/** Counts what was handed over, so that reading a log again from its start continues where it stopped. */
export interface Tally {
  write: ByteWriter;
  /** A writer for a log read from its first byte: drops what was handed over before. */
  replay(): ByteWriter;
  /** True: a log that was read again had lost its beginning, so that bytes may be missing or come twice. */
  incomplete(): boolean;
}

export function createTally(sink: Pick<OutputSink, 'write'>): Tally {
  const handed = { stdout: 0, stderr: 0 };
  const heads = { stdout: new Uint8Array(HEAD), stderr: new Uint8Array(HEAD) };
  let incomplete = false;

  const write: ByteWriter = (stream, bytes) => {
    const at = handed[stream];
    if (at < HEAD) heads[stream].set(bytes.subarray(0, HEAD - at), at);
    handed[stream] = at + bytes.length;
    return sink.write(stream, bytes);
  };

  const replay = (): ByteWriter => {
    const seen = { stdout: 0, stderr: 0 };
    const skip = { ...handed };
    return (stream, bytes) => {
      const at = seen[stream];
      seen[stream] += bytes.length;
      if (at >= skip[stream]) return write(stream, bytes);
      if (!continues(heads[stream].subarray(0, skip[stream]), at, bytes)) {
        incomplete = true;
        skip[stream] = at;
        handed[stream] = 0;
        return write(stream, bytes);
      }
      const fresh = bytes.subarray(Math.min(skip[stream] - at, bytes.length));
      return fresh.length === 0 || write(stream, fresh);
    };
  };

  return { write, replay, incomplete: () => incomplete };
}

/** True if `bytes`, at offset `at`, are what the known head has there. */
function continues(head: Uint8Array, at: number, bytes: Uint8Array): boolean {
  const known = head.subarray(at);
  for (let i = 0; i < known.length && i < bytes.length; i++) {
    if (known[i] !== bytes[i]) return false;
  }
  return true;
}
