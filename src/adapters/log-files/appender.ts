import { mkdir, open, rm, truncate, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Stream } from '../../runs/executor.ts';
import { START, encodeHeader, encodeLine, type Position } from './format.ts';
import { begun, scanLog, segmentFile, type Segment } from './files.ts';

/** Text waits in memory up to this; beyond it the reader of the output should pause. */
const QUEUE_BYTES = 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
/** Half of the limit is the head; the other half is the tail, in segments of which the newest three stay. */
const KEPT_SEGMENTS = 3;

/** Appends encoded lines to a run's files and keeps them under their limit: the head stays, the tail moves on. */
export interface Appender {
  readonly position: Position;
  /** First stored line of each stream, to recognise a replay that starts later. */
  readonly first: Record<Stream, string | null>;
  add(stream: Stream, raw: number, text: string): void;
  readonly full: boolean;
  /** Resolves when everything added so far was handed to the system, or given up after a failure. */
  flush(): Promise<void>;
  /** Lines that the disk did not take; the run goes on without them. */
  readonly lost: { lines: number; bytes: number };
  close(): Promise<void>;
}

export async function openAppender(head: string, maxBytes: number): Promise<Appender> {
  const first: Record<Stream, string | null> = { stdout: null, stderr: null };
  const segments = await scanLog(head, (line) => (first[line.stream] ??= line.text));
  const whole = begun(segments);
  for (const { number } of segments.slice(whole.length)) await rm(segmentFile(head, number), { force: true });
  const last = whole.at(-1);
  if (last) await truncate(segmentFile(head, last.number), last.bytes);
  return appender({ head, maxBytes, first, last });
}

interface Opening {
  head: string;
  maxBytes: number;
  first: Record<Stream, string | null>;
  last: Segment | undefined;
}

function appender({ head, maxBytes, first, last }: Opening): Appender {
  const position: Position = { ...(last?.end ?? START) };
  const lost = { lines: 0, bytes: 0 };
  let segment = last?.number ?? 0;
  const segmentBytes = maxBytes / 2 / KEPT_SEGMENTS;
  let room = (segment === 0 ? maxBytes / 2 : segmentBytes) - (last?.bytes ?? 0);
  let file: FileHandle | null = null;
  let writtenSegment = segment;
  // Each entry is written to one segment; a batch never crosses a segment's border.
  let queue: { segment: number; text: string; lines: number }[] = [];
  let queued = 0;
  let writing: Promise<void> | null = null;

  const enqueue = (text: string, lines: number): void => {
    const open = queue.at(-1);
    if (open && open.segment === segment && open.text.length < BATCH_BYTES) {
      open.text += text;
      open.lines += lines;
    } else queue.push({ segment, text, lines });
    queued += text.length;
    writing ??= drain().finally(() => (writing = null));
  };

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue[0]!;
      // Taken from the queue before writing, so that lines added meanwhile start a new batch.
      queue = queue.slice(1);
      try {
        if (file && batch.segment !== writtenSegment) {
          await file.close();
          file = null;
        }
        file ??= await openSegment(head, batch.segment);
        writtenSegment = batch.segment;
        await file.appendFile(batch.text);
      } catch {
        lost.lines += batch.lines;
        lost.bytes += batch.text.length;
      } finally {
        queued -= batch.text.length;
      }
    }
  };

  return {
    position,
    first,
    lost,
    add(stream, raw, text) {
      const line = encodeLine(stream, raw, text);
      const bytes = Buffer.byteLength(line);
      if (bytes > room) {
        segment += 1;
        const header = encodeHeader(position);
        room = segmentBytes - header.length;
        enqueue(header, 0);
      }
      room -= bytes;
      first[stream] ??= text;
      position.lines += 1;
      position[stream] += raw;
      enqueue(line, 1);
    },
    get full() {
      return queued > QUEUE_BYTES;
    },
    async flush() {
      while (writing) await writing;
    },
    async close() {
      while (writing) await writing;
      await file?.close();
      file = null;
    },
  };
}

async function openSegment(head: string, number: number): Promise<FileHandle> {
  await mkdir(dirname(head), { recursive: true, mode: 0o700 });
  const handle = await open(segmentFile(head, number), 'a', 0o600);
  const expired = number - KEPT_SEGMENTS;
  if (expired > 0) await rm(segmentFile(head, expired), { force: true });
  return handle;
}
