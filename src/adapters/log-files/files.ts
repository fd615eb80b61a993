import { open, readdir, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import { START, decodeHeader, decodeLine, type Position, type StoredLine } from './format.ts';

/** `home/logs/<first 6 digits>/<id>.log`: about five hours of runs share a folder. */
export function headFile(home: string, run_id: string): string {
  return join(home, 'logs', run_id.slice(0, 6), `${run_id}.log`);
}

/** Of every log that has a head. */
export async function logIds(home: string): Promise<string[]> {
  const files = await readdir(join(home, 'logs'), { recursive: true }).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  return files.filter((file) => file.endsWith('.log')).map((file) => basename(file, '.log'));
}

export function segmentFile(head: string, number: number): string {
  return number === 0 ? head : `${head}.${number}`;
}

/** Numbers of the files a log has, ascending; 0 is the head. Empty: no log. */
export async function segmentsOf(head: string): Promise<number[]> {
  let names: string[];
  try {
    names = await readdir(dirname(head));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  const base = basename(head);
  return names
    .filter(
      (name) => name === base || (name.startsWith(`${base}.`) && /^\d+$/.test(name.slice(base.length + 1))),
    )
    .map((name) => (name === base ? 0 : Number(name.slice(base.length + 1))))
    .sort((a, b) => a - b);
}

/** A file of a log, open, so that it stays readable when the writer deletes it. */
interface OpenSegment {
  number: number;
  handle: FileHandle;
}

/** A writer that drops files faster than this can list and open them is not to be expected. */
const MOST_LISTINGS = 50;

/** All files that a log has at one moment, opened; close them. */
async function openSegments(head: string): Promise<OpenSegment[]> {
  for (let listing = 1; ; listing += 1) {
    const opened: OpenSegment[] = [];
    try {
      const numbers = await segmentsOf(head);
      // A log is put into its place head last: without it there is none yet.
      if (numbers[0] !== 0) return [];
      for (const number of numbers) {
        opened.push({ number, handle: await open(segmentFile(head, number)) });
      }
      return opened;
    } catch (error) {
      await closeAll(opened);
      // One was dropped between listing and opening: its successors are listed by now.
      if (codeOf(error) !== 'ENOENT' || listing === MOST_LISTINGS) throw error;
    }
  }
}

async function closeAll(opened: readonly OpenSegment[]): Promise<void> {
  await Promise.all(opened.map(({ handle }) => handle.close()));
}

/** All that is stored of a log, as one stream. */
export async function* bytesOf(head: string): AsyncGenerator<Uint8Array> {
  const opened = await openSegments(head);
  try {
    for (const { handle } of opened) yield* chunksOf(handle);
  } finally {
    await closeAll(opened);
  }
}

function chunksOf(handle: FileHandle): AsyncIterable<Buffer> {
  return handle.createReadStream({ highWaterMark: CHUNK, autoClose: false }) as AsyncIterable<Buffer>;
}

const CHUNK = 256 * 1024;

export interface Segment {
  number: number;
  /** Position before the first line; for the head always the start. */
  start: Position;
  /** Position after the last whole line. */
  end: Position;
  /** Bytes of the file that are whole lines; more is a torn write. */
  bytes: number;
}

/** Reads a log's whole lines in order, in bounded memory. Empty: no log. */
export async function scanLog(
  head: string,
  onLine: (line: StoredLine, n: number) => void = () => undefined,
): Promise<Segment[]> {
  const opened = await openSegments(head);
  try {
    const segments: Segment[] = [];
    for (const segment of opened) segments.push(await scanSegment(segment, onLine));
    return segments;
  } finally {
    await closeAll(opened);
  }
}

/** Without what was only just made when its writer was looked at, or killed: it does not say where in the log it begins. */
export function begun(segments: readonly Segment[]): Segment[] {
  return segments.filter(({ number, bytes }) => number === 0 || bytes > 0);
}

async function scanSegment(
  { number, handle }: OpenSegment,
  onLine: (line: StoredLine, n: number) => void,
): Promise<Segment> {
  const segment: Segment = { number, start: START, end: { ...START }, bytes: 0 };
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunksOf(handle)) {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = data.indexOf(10); at !== -1; at = data.indexOf(10, from)) {
      take(segment, data.toString('utf8', from, at), onLine);
      from = at + 1;
    }
    segment.bytes += from;
    rest = data.subarray(from);
  }
  return segment;
}

function take(segment: Segment, text: string, onLine: (line: StoredLine, n: number) => void): void {
  const header = segment.number > 0 && segment.end.lines === 0 ? decodeHeader(text) : null;
  if (header) {
    segment.start = header;
    segment.end = { ...header };
    return;
  }
  const line = decodeLine(text);
  if (!line) return;
  segment.end.lines += 1;
  segment.end[line.stream] += line.raw;
  onLine(line, segment.end.lines);
}
