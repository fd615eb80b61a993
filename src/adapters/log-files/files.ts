import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf } from '../../shared/errors.ts';
import { START, decodeHeader, decodeLine, type Position, type StoredLine } from './format.ts';

/** `home/logs/<first 6 digits>/<id>.log`: about five hours of runs share a folder. */
export function headFile(home: string, run_id: string): string {
  return join(home, 'logs', run_id.slice(0, 6), `${run_id}.log`);
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

/** All that is stored of a log, as one stream. */
export async function* bytesOf(head: string): AsyncGenerator<Uint8Array> {
  for (const number of await segmentsOf(head)) {
    yield* createReadStream(segmentFile(head, number)) as AsyncIterable<Buffer>;
  }
}

export interface Segment {
  number: number;
  /** Position before the first line; for the head always the start. */
  start: Position;
  /** Position after the last whole line. */
  end: Position;
  /** Bytes of the file that are whole lines; more is a torn write. */
  bytes: number;
}

/** Reads a file's whole lines in order, in bounded memory. */
export async function scanSegment(
  head: string,
  number: number,
  onLine: (line: StoredLine, n: number) => void,
): Promise<Segment> {
  const segment: Segment = { number, start: START, end: { ...START }, bytes: 0 };
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(segmentFile(head, number), { highWaterMark: 256 * 1024 })) {
    const data = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
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
