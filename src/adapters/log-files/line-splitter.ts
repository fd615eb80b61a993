import type { Stream } from '../../runs/executor.ts';

/** Longer lines are stored in pieces, so that one endless line cannot fill the memory. */
export const LONGEST_LINE = 64 * 1024;

/** Receives a line's bytes without its end, and how many raw bytes it stands for, end included. */
export type OnLine = (stream: Stream, bytes: Buffer, raw: number) => void;

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
      onLine(stream, rest.subarray(0, LONGEST_LINE), LONGEST_LINE);
      rest = rest.subarray(LONGEST_LINE);
    }
    return rest;
  };

  return {
    push(stream, chunk) {
      const data = pending[stream].length === 0 ? chunk : Buffer.concat([pending[stream], chunk]);
      let from = 0;
      for (let at = data.indexOf(10); at !== -1; at = data.indexOf(10, from)) {
        const line = pieces(stream, data.subarray(from, at));
        onLine(stream, line, line.length + 1);
        from = at + 1;
      }
      // A copy, because the rest must not keep the engine's whole buffer alive.
      pending[stream] = Buffer.from(pieces(stream, data.subarray(from)));
    },
    flush() {
      for (const stream of ['stdout', 'stderr'] as const) {
        if (pending[stream].length > 0) onLine(stream, pending[stream], pending[stream].length);
        pending[stream] = Buffer.alloc(0);
      }
    },
  };
}
