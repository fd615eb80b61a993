import type { Stream } from '../../runs/executor.ts';

/** Longer lines are stored in pieces, so that one endless line cannot fill the memory. */
export const LONGEST_LINE = 64 * 1024;

/** What is handed over: how many raw bytes it stands for, line end included, and whether its line goes on. */
export interface Piece {
  stream: Stream;
  raw: number;
  continues: boolean;
}

/** Receives the bytes of a line, or of a piece of a long one, without the line's end. */
export type OnLine = (bytes: Buffer, piece: Piece) => void;

export interface LineSplitter {
  push(stream: Stream, chunk: Buffer): void;
  /** Hands over what has no line end yet. */
  flush(): void;
}

/** Cuts two byte streams into lines, whatever the chunk borders are. */
export function createLineSplitter(onLine: OnLine): LineSplitter {
  const pending: Record<Stream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  const pieces = (stream: Stream, bytes: Buffer): Buffer => {
    let rest = bytes;
    while (rest.length > LONGEST_LINE) {
      const raw = characterBorder(rest, LONGEST_LINE);
      onLine(rest.subarray(0, raw), { stream, raw, continues: true });
      rest = rest.subarray(raw);
    }
    return rest;
  };

  return {
    push(stream, chunk) {
      const data = pending[stream].length === 0 ? chunk : Buffer.concat([pending[stream], chunk]);
      let from = 0;
      for (let at = data.indexOf(10); at !== -1; at = data.indexOf(10, from)) {
        const line = pieces(stream, data.subarray(from, at));
        onLine(line, { stream, raw: line.length + 1, continues: false });
        from = at + 1;
      }
      // A copy, because the rest must not keep the engine's whole buffer alive.
      pending[stream] = Buffer.from(pieces(stream, data.subarray(from)));
    },
    flush() {
      for (const stream of ['stdout', 'stderr'] as const) {
        const raw = pending[stream].length;
        if (raw > 0) onLine(pending[stream], { stream, raw, continues: false });
        pending[stream] = Buffer.alloc(0);
      }
    },
  };
}

/** The last border between two UTF-8 characters at or before `at`. */
function characterBorder(bytes: Buffer, at: number): number {
  for (let border = at; border > at - 4; border--) {
    if ((bytes[border]! & 0xc0) !== 0x80) return border;
  }
  return at;
}
