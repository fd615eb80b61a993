import type { Stream } from '../../runs/executor.ts';

/*
 * One run's log: a head `ID.log`, then tail segments `ID.log.1`, `ID.log.2` … of which the oldest are deleted
 * when the log is longer than its limit. Every line of a file is
 *
 *   o|e RAW TAB TEXT LF     stream, bytes this line had in the action's own output, the cleaned text
 *
 * and a tail segment starts with `#` and the JSON of the position before its first line. So the files alone tell
 * line numbers, the gap, and how much of each stream they stand for, which is what an adopter needs.
 */

/** How far a log has come: lines stored or dropped, and raw bytes consumed of each stream. */
export interface Position {
  lines: number;
  stdout: number;
  stderr: number;
}

export const START: Position = { lines: 0, stdout: 0, stderr: 0 };

export interface StoredLine {
  stream: Stream;
  raw: number;
  text: string;
}

export function encodeLine(stream: Stream, raw: number, text: string): string {
  return `${stream === 'stdout' ? 'o' : 'e'}${raw}\t${text}\n`;
}

export function encodeHeader(position: Position): string {
  return `#${JSON.stringify(position)}\n`;
}

/** Null: a header, or bytes that no writer of ours left. */
export function decodeLine(line: string): StoredLine | null {
  const tab = line.indexOf('\t');
  if (tab < 2 || (line[0] !== 'o' && line[0] !== 'e')) return null;
  return {
    stream: line[0] === 'o' ? 'stdout' : 'stderr',
    raw: Number(line.slice(1, tab)),
    text: line.slice(tab + 1),
  };
}

export function decodeHeader(line: string): Position | null {
  return line.startsWith('#') ? (JSON.parse(line.slice(1)) as Position) : null;
}

const LINE = /^[oe]\d{1,10}\t/;
const HEADER = /^#\{"lines":\d{1,15},"stdout":\d{1,15},"stderr":\d{1,15}\}$/;

/** Whether a writer of ours may have left that line, or that header. */
export function isLine(line: string, isHeader: boolean): boolean {
  return (isHeader ? HEADER : LINE).test(line);
}
